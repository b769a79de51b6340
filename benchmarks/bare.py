"""The driver as one uses it without this project: motor's client, with nothing of ours in it.

`tz_aware` is the driver's own way to read moments in UTC, which is what is written. The concerns
are those of the kernel: majority, journaled.
"""

from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import WriteConcern
from pymongo.read_concern import ReadConcern

BareDatabase = AsyncIOMotorDatabase[dict[str, Any]]


def bare_database(url: str, name: str) -> BareDatabase:
    """A database of a client of its own; close `database.client` at the end."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(url, tz_aware=True)
    return client.get_database(
        name,
        write_concern=WriteConcern(w="majority", j=True),
        read_concern=ReadConcern("majority"),
    )
