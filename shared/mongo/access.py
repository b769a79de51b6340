"""API keys in the `access` database; what is stored cannot be used to call."""

from collections.abc import Sequence
from dataclasses import dataclass

from pymongo.errors import DuplicateKeyError

from shared.access import StoredApiKey
from shared.mongo.connection import Database, translated

API_KEYS = "api_keys"


@dataclass(frozen=True, slots=True)
class MongoApiKeys:
    """`{_id: prefix, hash, roles, branches, title}`."""

    database: Database

    async def find(self, prefix: str) -> StoredApiKey | None:
        """The key with the prefix."""
        document = await self.database.collection(API_KEYS).get(prefix)
        if document is None:
            return None
        return StoredApiKey(
            prefix=document["_id"],
            hash=document["hash"],
            roles=tuple(document["roles"]),
            branches=_branches(document["branches"]),
            title=document["title"],
        )

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


def _branches(stored: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if stored is None else tuple(stored)
