"""A waiting place on MongoDB: a document each, due by the database's clock."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bson import Binary
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from shared.mongo.connection import Database, lost_indexes, translated
from shared.waiting import Waiter

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
"""Ranges are bounded at both ends: SecantusDB scans a collection for an open one."""
FIELDS = tuple(name for name in Waiter.__struct_fields__ if name not in {"id", "content", "age"})


@dataclass(frozen=True, slots=True)
class MongoWaitingPlace:
    """Implements `WaitingPlace` in one collection."""

    database: Database
    name: str

    async def create_indexes(self) -> None:
        """Make sure that what is due is found."""
        await self.database.collection(self.name).create_indexes([[("due_at", 1)]])

    async def admit(self, waiters: Sequence[Waiter]) -> None:
        """Insert those that are not there."""
        if not waiters:
            return
        now = await self.database.now()
        documents = [
            {
                "_id": waiter.id,
                "content": Binary(waiter.content),
                **{name: getattr(waiter, name) for name in FIELDS},
                "since": now,
                "due_at": now,
            }
            for waiter in waiters
        ]
        with translated():
            try:
                await self.database.motor[self.name].insert_many(documents, ordered=False)
            except BulkWriteError as failure:
                lost_indexes(failure)

    async def due(self, limit: int) -> Sequence[Waiter]:
        """Those whose moment has come."""
        now = await self.database.now()
        found = await self.database.collection(self.name).find(
            {"due_at": {"$gte": LONG_AGO, "$lte": now}}, sort=[("due_at", 1)], limit=limit
        )
        return [
            Waiter(
                id=raw["_id"],
                content=bytes(raw["content"]),
                age=(now - raw["since"]).total_seconds(),
                **{name: raw[name] for name in FIELDS},
            )
            for raw in found
        ]

    async def postpone(self, seconds: Mapping[str, float]) -> None:
        """Move their moments."""
        if not seconds:
            return
        now = await self.database.now()
        updates = [
            UpdateOne({"_id": name}, {"$set": {"due_at": now + timedelta(seconds=each)}})
            for name, each in seconds.items()
        ]
        with translated():
            try:
                await self.database.motor[self.name].bulk_write(updates, ordered=False)
            except BulkWriteError as failure:
                lost_indexes(failure)

    async def release(self, ids: Collection[str]) -> None:
        """Delete them."""
        if ids:
            with translated():
                await self.database.motor[self.name].delete_many({"_id": {"$in": sorted(ids)}})

    async def count(self) -> int:
        """How many there are."""
        return await self.database.collection(self.name).estimate()
