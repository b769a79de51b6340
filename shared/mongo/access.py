"""API keys in the `access` database; what is stored cannot be used to call."""

from collections.abc import Sequence
from dataclasses import dataclass

from pymongo.errors import DuplicateKeyError

from shared.access import StoredApiKey
from shared.mongo.connection import Database, translated
from shared.readmodel import RawDocument

API_KEYS = "api_keys"


@dataclass(frozen=True, slots=True)
class MongoApiKeys:
    """`{_id: prefix, hash, roles, branches, title}`, and `revoked` once it is."""

    database: Database

    async def find(self, prefix: str) -> StoredApiKey | None:
        """The key with the prefix."""
        document = await self.database.collection(API_KEYS).get(prefix)
        return None if document is None else _key(document)

    async def add(self, key: StoredApiKey) -> bool:
        """Store a key; False when the prefix is taken."""
        with translated():
            try:
                await self.database.motor[API_KEYS].insert_one(
                    {
                        "_id": key.prefix,
                        "hash": key.hash,
                        "roles": list(key.roles),
                        "branches": None if key.branches is None else list(key.branches),
                        "title": key.title,
                    }
                )
            except DuplicateKeyError:
                return False
        return True

    async def all(self) -> Sequence[StoredApiKey]:
        """Every key by its prefix, revoked ones too."""
        found = await self.database.collection(API_KEYS).find({}, sort=[("_id", 1)])
        return [_key(document) for document in found]

    async def revoke(self, prefix: str) -> bool:
        """Revoke a key; False when there is none, or none that is not revoked already."""
        with translated():
            result = await self.database.motor[API_KEYS].update_one(
                {"_id": prefix, "revoked": {"$ne": True}}, {"$set": {"revoked": True}}
            )
        return result.modified_count == 1


def _key(document: RawDocument) -> StoredApiKey:
    return StoredApiKey(
        prefix=document["_id"],
        hash=document["hash"],
        roles=tuple(document["roles"]),
        branches=_branches(document["branches"]),
        title=document["title"],
        revoked=document.get("revoked", False),
    )


def _branches(stored: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if stored is None else tuple(stored)
