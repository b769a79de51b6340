"""What is stored of a file and of a link to it, and the port that stores it.

A store sees no clear text: names and chunks come sealed, keys wrapped, tokens hashed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file.

    `key` is its own key, wrapped by the master key; `name` is sealed with it. `chunks` and `size`
    (bytes in the clear) are 0 until it is `complete`: one that is not was cut off, and is deleted
    when it expires as every other.
    """

    id: str = msgspec.field(name="_id")
    owner: str
    media_type: str
    key: bytes
    name: bytes
    created_at: datetime
    expires_at: datetime
    chunks: int = 0
    size: int = 0
    complete: bool = False


class StoredLink(msgspec.Struct, frozen=True, kw_only=True):
    """A way to a file for whoever has the token; `id` is the keyed hash of it.

    `used_at` has the moment of each download, `most` of them at most; `issued_to` is the id of the
    principal who asked for it.
    """

    id: str = msgspec.field(name="_id")
    file: str
    issued_to: str
    created_at: datetime
    expires_at: datetime
    most: int = 1
    used_at: tuple[datetime, ...] = ()


class FileStore(Protocol):
    """Files, their chunks, and links to them."""

    async def add(self, file: StoredFile) -> None:
        """Store a new file without chunks."""
        ...

    async def get(self, file_id: str) -> StoredFile | None:
        """One file."""
        ...

    async def complete(self, file_id: str, chunks: int, size: int) -> bool:
        """Say that all chunks of a file are stored; False when it is gone."""
        ...

    async def put_chunk(self, file_id: str, number: int, sealed: bytes) -> None:
        """Store a chunk, from 0; the same number again takes its place."""
        ...

    async def chunk(self, file_id: str, number: int) -> bytes | None:
        """One chunk."""
        ...

    async def expired(self, before: datetime, limit: int) -> Sequence[str]:
        """Ids of files that expired before a moment."""
        ...

    async def keep(self, file_id: str, until: datetime) -> bool:
        """Let a file expire at another moment; False when it is gone."""
        ...

    async def of_owner(self, owner: str) -> Sequence[str]:
        """Ids of all files of an owner."""
        ...

    async def delete(self, file_id: str) -> None:
        """Remove a file, its chunks and its links; none of them is no fault."""
        ...

    async def add_link(self, link: StoredLink) -> None:
        """Store a new link."""
        ...

    async def use_link(self, link_id: str, at: datetime) -> StoredLink | None:
        """Count a download, in one step; None for a link that is unknown, expired or used up."""
        ...

    async def links(self, file_id: str) -> Sequence[StoredLink]:
        """All links to a file, the oldest first."""
        ...
