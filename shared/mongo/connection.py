"""Connections, and the translation of driver errors into the kernel's own."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import CodecOptions
from bson.codec_options import TypeDecoder, TypeRegistry
from motor.motor_asyncio import (
    AsyncIOMotorClient,
    AsyncIOMotorClientSession,
    AsyncIOMotorCollection,
    AsyncIOMotorDatabase,
)
from pymongo import IndexModel, ReadPreference, WriteConcern, timeout
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from shared.eventstore import StoreUnavailable
from shared.readmodel import RawDocument

DUPLICATE_KEY = 11000
SERVER_SELECTION_MS = 3_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)


class _InUtc(TypeDecoder):
    """Moments in UTC, by a sum: the driver's own `tz_aware` makes reading twice as dear."""

    bson_type = datetime

    def transform_bson(self, value: datetime) -> datetime:
        return _EPOCH + (value - _NAIVE_EPOCH)


CODEC = CodecOptions[dict[str, Any]](type_registry=TypeRegistry([_InUtc()]))
WHOLE = 1_000_000
"""Documents of one answer: MongoDB gives 101 at first, and the rest in a second round trip."""
Session = AsyncIOMotorClientSession
Index = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Database:
    """One service's database, majority writes and reads."""

    client: "AsyncIOMotorClient[dict[str, Any]]"
    name: str

    @property
    def motor(self) -> "AsyncIOMotorDatabase[dict[str, Any]]":
        """The driver's own handle."""
        return self.client.get_database(
            self.name,
            codec_options=CODEC,
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("majority"),
        )

    def collection(self, name: str) -> "Collection":
        """One collection, for queries and for single documents."""
        return Collection(self.motor[name])

    async def ping(self) -> None:
        """Raise `StoreUnavailable` when the server does not answer."""
        with translated():
            await self.motor.command("ping")

    async def now(self) -> datetime:
        """The server's clock."""
        with translated():
            reply = await self.client.admin.command("hello")
        moment: datetime = reply["localTime"]
        return moment.astimezone(UTC)


def connect(url: str) -> "AsyncIOMotorClient[dict[str, Any]]":
    """A client for the running event loop; it connects on first use."""
    return AsyncIOMotorClient(
        url, serverSelectionTimeoutMS=SERVER_SELECTION_MS, tz_aware=True, appname="regulars"
    )


APPEND_DEADLINE = timedelta(seconds=2)


@contextmanager
def abandoned_at(moment: float) -> Iterator[None]:
    """Have driver and server give up at the moment (of the event loop's time), retries included.

    Cancelling the awaiting task is not enough: motor's thread would go on, and write late.
    Raises `StoreUnavailable` at once where the moment has passed.
    """
    left = moment - asyncio.get_running_loop().time()
    if left <= 0:
        raise StoreUnavailable("too late to be written")
    with timeout(left):
        yield


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the driver says of an absent or failing server into `StoreUnavailable`.

    Duplicate keys and failed bulk writes pass: they are answers, and callers read them.
    """
    try:
        yield
    except (DuplicateKeyError, BulkWriteError):
        raise
    except PyMongoError as failure:
        # The driver's text may quote documents; its class and code are enough to act on.
        code = getattr(failure, "code", None)
        message = f"{type(failure).__name__} {code if code is not None else ''}".strip()
        raise StoreUnavailable(message) from failure


def lost_indexes(failure: BulkWriteError) -> set[int]:
    """The positions of the operations that met a duplicate key.

    Raises `StoreUnavailable` when an operation failed for another reason, and when the others
    are not known to stay because no majority acknowledged them in time.
    """
    errors = failure.details.get("writeErrors", [])
    unsure = failure.details.get("writeConcernErrors", [])
    if not errors or unsure or any(error["code"] != DUPLICATE_KEY for error in errors):
        codes = sorted({error["code"] for error in (*errors, *unsure)})
        message = f"bulk write failed with codes {codes}"
        raise StoreUnavailable(message) from failure
    return {error["index"] for error in errors}


@asynccontextmanager
async def session_of(database: Database) -> AsyncIterator[Session]:
    """A session, ended however the block ends."""
    with translated():
        session = await database.client.start_session()
    try:
        yield session
    finally:
        await session.end_session()


@dataclass(frozen=True, slots=True)
class Collection:
    """What queries may ask of one collection."""

    motor: "AsyncIOMotorCollection[dict[str, Any]]"

    async def create_indexes(self, indexes: Sequence[Index]) -> None:
        """Make sure that the indexes are there."""
        if indexes:
            with translated():
                await self.motor.create_indexes([IndexModel(list(index)) for index in indexes])

    async def get(self, document_id: str) -> RawDocument | None:
        """One document by its id."""
        with translated():
            return await self.motor.find_one({"_id": document_id})

    async def find(
        self,
        where: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] | None = None,
        sort: Index | None = None,
        limit: int = 0,
    ) -> list[RawDocument]:
        """The documents that match, at most `limit` (0: all)."""
        cursor = self.motor.find(where, fields, batch_size=WHOLE)
        if sort:
            cursor = cursor.sort(list(sort))
        if limit:
            cursor = cursor.limit(limit)
        with translated():
            found: list[RawDocument] = await cursor.to_list(None)
            return found

    async def batches(
        self,
        where: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] | None = None,
        sort: Sequence[tuple[str, int]] | None = None,
        size: int = 1_000,
    ) -> AsyncIterator[list[RawDocument]]:
        """All documents that match, some at a time, in any order unless one is named.

        For figures over many: a cursor goes through an index once, pages look for their beginnings.
        """
        cursor = self.motor.find(where, fields, sort=sort, batch_size=size)
        while True:
            with translated():
                found: list[RawDocument] = await cursor.to_list(size)
            if not found:
                return
            yield found

    async def count(self, where: Mapping[str, Any], limit: int | None = None) -> int:
        """How many match, counted up to `limit`."""
        options: dict[str, Any] = {} if limit is None else {"limit": limit}
        with translated():
            return await self.motor.count_documents(where, **options)

    async def estimate(self) -> int:
        """How many documents there are, from the collection's own count."""
        with translated():
            return await self.motor.estimated_document_count()

    async def aggregate(self, pipeline: Sequence[Mapping[str, Any]]) -> list[RawDocument]:
        """The whole result of a pipeline."""
        with translated():
            cursor = self.motor.aggregate(list(pipeline), batchSize=WHOLE)
            found: list[RawDocument] = await cursor.to_list(None)
            return found
