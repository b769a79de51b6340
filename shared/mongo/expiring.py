"""Entries that are kept for a while: a document each, deleted by the server some time after."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from bson import Binary
from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from shared.mongo.connection import Database, translated


@dataclass(frozen=True, slots=True)
class MongoExpiring:
    """Implements `Expiring` in one collection.

    The server deletes up to a minute late, so every question asks for the moment too.
    """

    database: Database
    name: str

    async def create_indexes(self) -> None:
        """Make sure that what has expired goes."""
        with translated():
            await self.database.motor[self.name].create_indexes(
                [IndexModel([("until", 1)], expireAfterSeconds=0)]
            )

    async def add(self, entry: str, content: bytes, now: datetime, until: datetime) -> bool:
        """Keep the entry, unless one of the id lives."""
        collection = self.database.motor[self.name]
        document = {"content": Binary(content), "until": until}
        with translated():
            try:
                # Finds one that has expired and takes its place; beside a living one the upsert
                # meets the id, which is taken.
                await collection.update_one(
                    {"_id": entry, "until": {"$lte": now}}, {"$set": document}, upsert=True
                )
            except DuplicateKeyError:
                return False
        return True

    async def get(self, entry: str, now: datetime) -> bytes | None:
        """What a living entry holds."""
        with translated():
            found = await self.database.motor[self.name].find_one(
                {"_id": entry, "until": {"$gt": now}}
            )
        return None if found is None else bytes(found["content"])

    async def count(self, entry: str, now: datetime, until: datetime) -> int:
        """Count one more."""
        collection = self.database.motor[self.name]
        key = f"count|{entry}"
        with translated():
            await collection.delete_one({"_id": key, "until": {"$lte": now}})
            while True:
                found = await collection.find_one_and_update(
                    {"_id": key}, {"$inc": {"count": 1}}, return_document=ReturnDocument.AFTER
                )
                if found is not None:
                    return int(found["count"])
                # No upsert: the stand-in answers nothing to the second of two that begin at once.
                with suppress(DuplicateKeyError):
                    await collection.insert_one({"_id": key, "count": 0, "until": until})
