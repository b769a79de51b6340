"""Wrapped keys of customers in the `keyring` database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pymongo.errors import BulkWriteError

from shared.keyring import StoredKey
from shared.mongo.connection import Database, lost_indexes, translated

KEYS = "keys"


@dataclass(frozen=True, slots=True)
class MongoKeyStore:
    """`{_id, wrapped}`; a tombstone has no `wrapped`."""

    database: Database

    async def load(self, ids: Sequence[str]) -> Mapping[str, StoredKey]:
        """The stored ones of the keys."""
        found = await self.database.collection(KEYS).find({"_id": {"$in": list(ids)}})
        return {
            document["_id"]: StoredKey(document["_id"], document.get("wrapped"))
            for document in found
        }

    async def insert(self, keys: Sequence[StoredKey]) -> None:
        """Store each key whose id is not taken."""
        if not keys:
            return
        documents = [
            {"_id": key.id} | ({} if key.wrapped is None else {"wrapped": key.wrapped})
            for key in keys
        ]
        with translated():
            try:
                await self.database.motor[KEYS].insert_many(documents, ordered=False)
            except BulkWriteError as failure:
                lost_indexes(failure)
