"""Files in dicts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from shared.files.stored import StoredFile, StoredLink


@dataclass(slots=True)
class MemoryFiles:
    """Files, their chunks, and links to them."""

    _files: dict[str, StoredFile] = field(default_factory=dict)
    _chunks: dict[tuple[str, int], bytes] = field(default_factory=dict)
    _links: dict[str, StoredLink] = field(default_factory=dict)

    async def add(self, file: StoredFile) -> None:
        """Store a new file without chunks."""
        self._files[file.id] = file

    async def get(self, file_id: str) -> StoredFile | None:
        """One file."""
        return self._files.get(file_id)

    async def complete(self, file_id: str, chunks: int, size: int) -> bool:
        """Say that all chunks of a file are stored; False when it is gone."""
        file = self._files.get(file_id)
        if file is None:
            return False
        self._files[file_id] = msgspec.structs.replace(
            file, chunks=chunks, size=size, complete=True
        )
        return True

    async def put_chunk(self, file_id: str, number: int, sealed: bytes) -> None:
        """Store a chunk; the same number again takes its place."""
        self._chunks[file_id, number] = sealed

    async def chunk(self, file_id: str, number: int) -> bytes | None:
        """One chunk."""
        return self._chunks.get((file_id, number))

    async def expired(self, before: datetime, limit: int) -> Sequence[str]:
        """Ids of files that expired before a moment."""
        return [file.id for file in self._files.values() if file.expires_at < before][:limit]

    async def keep(self, file_id: str, until: datetime) -> bool:
        """Let a file expire at another moment; False when it is gone."""
        file = self._files.get(file_id)
        if file is None:
            return False
        self._files[file_id] = msgspec.structs.replace(file, expires_at=until)
        return True

    async def of_owner(self, owner: str) -> Sequence[str]:
        """Ids of all files of an owner."""
        return [file.id for file in self._files.values() if file.owner == owner]

    async def delete(self, file_id: str) -> None:
        """Remove a file, its chunks and its links."""
        self._files.pop(file_id, None)
        self._chunks = {key: each for key, each in self._chunks.items() if key[0] != file_id}
        self._links = {key: each for key, each in self._links.items() if each.file != file_id}

    async def add_link(self, link: StoredLink) -> None:
        """Store a new link."""
        self._links[link.id] = link

    async def use_link(self, link_id: str, at: datetime) -> StoredLink | None:
        """Count a download; None for a link that is unknown, expired or used up."""
        link = self._links.get(link_id)
        if link is None or link.expires_at <= at or len(link.used_at) >= link.most:
            return None
        used = msgspec.structs.replace(link, used_at=(*link.used_at, at))
        self._links[link_id] = used
        return used

    async def links(self, file_id: str) -> Sequence[StoredLink]:
        """All links to a file, the oldest first."""
        found = [link for link in self._links.values() if link.file == file_id]
        return sorted(found, key=lambda link: link.created_at)
