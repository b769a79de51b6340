"""Files on MongoDB: `{_id, …}` in `files`, `{_id: "<file>/<number>", data}` in `file_chunks`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from pymongo import ReturnDocument

from shared.files.stored import StoredFile, StoredLink
from shared.mongo.connection import Collection, Database, translated
from shared.mongo.documents import LONG_AGO
from shared.readmodel import RawDocument

FILES = "files"
CHUNKS = "file_chunks"
LINKS = "file_links"
CHUNK_DIGITS = 6


@dataclass(frozen=True, slots=True)
class MongoFiles:
    """Files, their chunks, and links to them (`left` counts the downloads that a link allows)."""

    database: Database

    async def create_indexes(self) -> None:
        """Make sure that what has expired is found, and the links to a file."""
        await self._collection(FILES).create_indexes([(("expires_at", 1),), (("owner", 1),)])
        await self._collection(LINKS).create_indexes([(("file", 1), ("created_at", 1))])

    def _collection(self, name: str) -> Collection:
        return self.database.collection(name)

    async def add(self, file: StoredFile) -> None:
        """Store a new file without chunks."""
        with translated():
            await self._collection(FILES).motor.insert_one(_raw(file))

    async def get(self, file_id: str) -> StoredFile | None:
        """One file."""
        found = await self._collection(FILES).get(file_id)
        return None if found is None else msgspec.convert(found, StoredFile)

    async def complete(self, file_id: str, chunks: int, size: int) -> bool:
        """Say that all chunks of a file are stored; False when it is gone."""
        with translated():
            result = await self._collection(FILES).motor.update_one(
                {"_id": file_id}, {"$set": {"chunks": chunks, "size": size, "complete": True}}
            )
        return result.matched_count == 1

    async def put_chunk(self, file_id: str, number: int, sealed: bytes) -> None:
        """Store a chunk; the same number again takes its place."""
        name = _chunk_id(file_id, number)
        with translated():
            await self._collection(CHUNKS).motor.replace_one(
                {"_id": name}, {"_id": name, "data": sealed}, upsert=True
            )

    async def chunk(self, file_id: str, number: int) -> bytes | None:
        """One chunk."""
        found = await self._collection(CHUNKS).get(_chunk_id(file_id, number))
        return None if found is None else bytes(found["data"])

    async def expired(self, before: datetime, limit: int) -> Sequence[str]:
        """Ids of files that expired before a moment."""
        found = await self._collection(FILES).find(
            {"expires_at": {"$gte": LONG_AGO, "$lt": before}}, fields={"_id": 1}, limit=limit
        )
        return [document["_id"] for document in found]

    async def keep(self, file_id: str, until: datetime) -> bool:
        """Let a file expire at another moment; False when it is gone."""
        with translated():
            result = await self._collection(FILES).motor.update_one(
                {"_id": file_id}, {"$set": {"expires_at": until}}
            )
        return result.matched_count == 1

    async def of_owner(self, owner: str) -> Sequence[str]:
        """Ids of all files of an owner."""
        found = await self._collection(FILES).find({"owner": owner}, fields={"_id": 1})
        return [document["_id"] for document in found]

    async def delete(self, file_id: str) -> None:
        """Remove a file, its chunks and its links; the file last, so that it is found again."""
        bounds = {"$gte": f"{file_id}/", "$lt": f"{file_id}0"}  # 0 is the character after /
        with translated():
            await self._collection(CHUNKS).motor.delete_many({"_id": bounds})
            await self._collection(LINKS).motor.delete_many({"file": file_id})
            await self._collection(FILES).motor.delete_one({"_id": file_id})

    async def add_link(self, link: StoredLink) -> None:
        """Store a new link."""
        with translated():
            await self._collection(LINKS).motor.insert_one({**_raw(link), "left": link.most})

    async def use_link(self, link_id: str, at: datetime) -> StoredLink | None:
        """Count a download, in one step; None for a link that is unknown, expired or used up."""
        with translated():
            found: RawDocument | None = await self._collection(LINKS).motor.find_one_and_update(
                {"_id": link_id, "left": {"$gt": 0}, "expires_at": {"$gt": at}},
                {"$inc": {"left": -1}, "$push": {"used_at": at}},
                return_document=ReturnDocument.AFTER,
            )
        return None if found is None else msgspec.convert(found, StoredLink)

    async def links(self, file_id: str) -> Sequence[StoredLink]:
        """All links to a file, the oldest first."""
        found = await self._collection(LINKS).find({"file": file_id}, sort=[("created_at", 1)])
        return [msgspec.convert(raw, StoredLink) for raw in found]


def _chunk_id(file_id: str, number: int) -> str:
    return f"{file_id}/{number:0{CHUNK_DIGITS}d}"


def _raw(value: StoredFile | StoredLink) -> RawDocument:
    raw: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime, bytes))
    return raw
