"""Wrapped keys of customers in the `keyring` database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pymongo.errors import BulkWriteError

from shared.keyring import StoredKey
from shared.mongo.connection import Database, lost_indexes, translated
from shared.readmodel import RawDocument

KEYS = "keys"


@dataclass(frozen=True, slots=True)
class MongoKeyStore:
    """`{_id, wrapped}`; a tombstone is `{_id, erased_by}`. None is ever removed."""

    database: Database

    async def load(self, ids: Sequence[str]) -> Mapping[str, StoredKey]:
        """The stored ones of the keys."""
        found = await self.database.collection(KEYS).find({"_id": {"$in": list(ids)}})
        return {
            document["_id"]: StoredKey(
                document["_id"], document.get("wrapped"), document.get("erased_by")
            )
            for document in found
        }

    async def insert(self, keys: Sequence[StoredKey]) -> None:
        """Store each key whose id is not taken."""
        if not keys:
            return
        with translated():
            try:
                await self.database.motor[KEYS].insert_many(map(_document, keys), ordered=False)
            except BulkWriteError as failure:
                lost_indexes(failure)

    async def erase(self, ids: Sequence[str], by: str) -> None:
        """Leave a tombstone at each id for good."""
        # In this order: whoever makes a key meanwhile was either before, and loses it at once, or
        # finds the tombstone.
        await self.insert([StoredKey(key_id, None, by) for key_id in ids])
        with translated():
            await self.database.motor[KEYS].update_many(
                {"_id": {"$in": list(ids)}, "wrapped": {"$exists": True}},
                {"$unset": {"wrapped": ""}, "$set": {"erased_by": by}},
            )


def _document(key: StoredKey) -> RawDocument:
    fields = {"wrapped": key.wrapped, "erased_by": key.erased_by}
    return {"_id": key.id} | {name: value for name, value in fields.items() if value is not None}
