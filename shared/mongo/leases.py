"""Leases on MongoDB.

The clock is the database's (`hello.localTime`), read just before the write: it can only be early,
so a lease is never taken before it expired. (An update that compares with `$$NOW` would save the
round trip, but the embedded servers do not evaluate it as MongoDB does.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from shared.mongo.connection import Collection, Database, translated
from shared.readmodel import Lease, RawDocument

LEASES = "leases"


@dataclass(frozen=True, slots=True)
class MongoLeases:
    """`{_id: name, owner, fence, expires_at, state}`."""

    database: Database

    @property
    def _collection(self) -> Collection:
        return self.database.collection(LEASES)

    async def acquire(self, name: str, owner: str, seconds: float) -> Lease | None:
        """Take a free or expired lease, with the next fencing number."""
        now = await self.database.now()
        with translated():
            try:
                document = await self._collection.motor.find_one_and_update(
                    {"_id": name, "expires_at": {"$lt": now}},
                    {
                        "$set": {"owner": owner, "expires_at": now + timedelta(seconds=seconds)},
                        "$inc": {"fence": 1},
                    },
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:
                return None
        return Lease(name, owner, document["fence"], now)

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Renew; None when somebody else holds it now."""
        now = await self.database.now()
        with translated():
            result = await self._collection.motor.update_one(
                {"_id": lease.name, "fence": lease.fence},
                {"$set": {"expires_at": now + timedelta(seconds=seconds)}},
            )
        if result.matched_count == 0:
            return None
        return Lease(lease.name, lease.owner, lease.fence, now)

    async def release(self, lease: Lease) -> None:
        """Let it go, if still held."""
        now = await self.database.now()
        with translated():
            await self._collection.motor.update_one(
                {"_id": lease.name, "fence": lease.fence},
                {"$set": {"expires_at": now - timedelta(milliseconds=1)}},
            )

    async def holders(self, prefix: str) -> Mapping[str, str]:
        """The leases that somebody holds now and whose names begin so, with their owners."""
        now = await self.database.now()
        found = await self._collection.find(
            {"_id": {"$gte": prefix, "$lt": prefix + "\U0010ffff"}, "expires_at": {"$gte": now}},
            fields={"owner": 1},
        )
        return {document["_id"]: document["owner"] for document in found}

    async def state(self, name: str) -> RawDocument:
        """The state kept with the lease; empty when there is none."""
        document = await self._collection.get(name)
        state: RawDocument = {} if document is None else document.get("state", {})
        return state

    async def save(self, lease: Lease, state: RawDocument) -> bool:
        """Save the state; False, and nothing saved, when the fencing number is not the newest."""
        with translated():
            result = await self._collection.motor.update_one(
                {"_id": lease.name, "fence": lease.fence}, {"$set": {"state": state}}
            )
        return result.matched_count == 1
