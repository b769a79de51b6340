"""Read models on MongoDB: guarded writes, one per document and batch."""

import asyncio
from collections.abc import Collection as Many
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import bson
from bson.errors import InvalidDocument
from pymongo import InsertOne, ReplaceOne, UpdateMany
from pymongo.errors import BulkWriteError, DuplicateKeyError

from shared.eventstore import Commit, StoreUnavailable, first_expiry
from shared.mongo.connection import (
    APPEND_DEADLINE,
    Collection,
    Database,
    Index,
    Session,
    abandoned_at,
    lost_indexes,
    translated,
)
from shared.mongo.events import insert_commits
from shared.mongo.transactions import transact
from shared.readmodel import EndedImport, Patch, RawDocument, UnwritableDocuments

LARGEST_DOCUMENT = 16 * 1024 * 1024
ENDED_IMPORTS = "ended_imports"

STEPPED_INDEXES: Sequence[Index] = (
    # What is asked for by range comes first: it is few, a worker's partitions may be all.
    (("due_at", 1), ("partition", 1)),
    (("rules", 1), ("partition", 1)),
    (("partition", 1), ("history", 1)),
)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
"""Ranges are bounded at both ends: SecantusDB scans a collection for an open one."""


@dataclass(frozen=True, slots=True)
class MongoDocuments:
    """One collection; implements `Documents` and `SteppedDocuments`."""

    database: Database
    name: str
    append_deadline: timedelta = APPEND_DEADLINE

    @property
    def collection(self) -> Collection:
        """The collection, for queries."""
        return self.database.collection(self.name)

    async def create_indexes(self, indexes: Sequence[Index]) -> None:
        """Make sure that the indexes are there."""
        await self.collection.create_indexes(indexes)

    async def load(self, ids: Sequence[str]) -> Mapping[str, RawDocument]:
        """Those of the documents that exist."""
        found = await self.collection.find({"_id": {"$in": list(ids)}})
        return {document["_id"]: document for document in found}

    async def write(self, documents: Sequence[RawDocument]) -> set[str]:
        """Write each where the stored `rev` is one less; gives the ids whose guard was lost."""
        if not documents:
            return set()
        with translated():
            try:
                await self.collection.motor.bulk_write(
                    [_guarded(document) for document in documents], ordered=False
                )
            except (OverflowError, InvalidDocument) as failure:
                raise UnwritableDocuments(unwritable(documents)) from failure
            except BulkWriteError as failure:
                return {documents[index]["_id"] for index in lost_indexes(failure)}
        return set()

    async def write_stepped(self, steps: Sequence[tuple[RawDocument, Commit | None]]) -> set[str]:
        """All in one transaction; where one is in the way, each in its own."""
        otherwise = asyncio.get_running_loop().time() + self.append_deadline.total_seconds()
        commits = [commit for _, commit in steps if commit is not None]
        return await self._write_until(first_expiry(commits, otherwise), steps)

    async def _write_until(
        self, moment: float, steps: Sequence[tuple[RawDocument, Commit | None]]
    ) -> set[str]:
        if all(commit is None for _, commit in steps):
            return await self.write([document for document, _ in steps])
        try:
            with abandoned_at(moment):
                await self._transact(steps)
        except (OverflowError, InvalidDocument) as failure:
            raise UnwritableDocuments(unwritable([document for document, _ in steps])) from failure
        except (DuplicateKeyError, BulkWriteError) as failure:
            if isinstance(failure, BulkWriteError):
                lost_indexes(failure)
            if len(steps) == 1:
                return {steps[0][0]["_id"]}
            lost: set[str] = set()
            for step in steps:
                lost |= await self._write_until(moment, [step])
            return lost
        return set()

    async def _transact(self, steps: Sequence[tuple[RawDocument, Commit | None]]) -> None:
        async def work(session: Session) -> None:
            await self.collection.motor.bulk_write(
                [_guarded(document) for document, _ in steps], session=session
            )
            commits = [commit for _, commit in steps if commit is not None]
            await insert_commits(self.database, commits, session)

        await transact(self.database, work)

    async def due(self, partitions: Sequence[int], before: datetime, limit: int) -> Sequence[str]:
        """The ids of the partitions' documents whose `due_at` is before the moment, in its order.

        SecantusDB goes through all that are due, whatever the limit: 6 ms for a thousand.
        """
        found = await self.collection.find(
            {
                "due_at": {"$gte": LONG_AGO, "$lt": before},
                "partition": {"$in": list(partitions)},
            },
            fields={"_id": 1},
            sort=[("due_at", 1)],
            limit=limit,
        )
        return [document["_id"] for document in found]

    async def with_older_rules(
        self,
        partitions: Sequence[int],
        rules: int,
        limit: int,
        without: Many[str] = (),
    ) -> Sequence[RawDocument]:
        """Documents of the partitions that were evaluated with an older rule set."""
        where = {"partition": {"$in": list(partitions)}}
        fields = dict.fromkeys(without, 0) or None
        # A document that leaves out its number was never evaluated.
        found = await self.collection.find({"rules": None, **where}, fields=fields, limit=limit)
        if len(found) < limit:
            found += await self.collection.find(
                {"rules": {"$gte": 0, "$lt": rules}, **where},
                fields=fields,
                limit=limit - len(found),
            )
        return found

    async def patch(self, patches: Sequence[Patch]) -> None:
        """Give fields of documents new values; one that has another revision stays as it is."""
        if not patches:
            return
        writes = [
            UpdateMany(
                {"_id": {"$in": list(patch.ids)}, "rev": patch.rev},
                {"$set": dict(patch.fields), "$inc": {"rev": 1}},
            )
            for patch in patches
        ]
        with translated():
            try:
                await self.collection.motor.bulk_write(writes, ordered=False)
            except BulkWriteError as failure:
                raise StoreUnavailable("not all documents were patched") from failure

    async def with_history(
        self,
        partition: int,
        imports: Many[str],
        limit: int,
        without: Many[str] = (),
    ) -> Sequence[RawDocument]:
        """Documents of the partition that keep facts of the imports unlived."""
        # SecantusDB scans as soon as the filter names `_id`, so they are fetched and passed over.
        found = await self.collection.find(
            {"partition": partition, "history": {"$in": sorted(imports)}},
            limit=limit + len(without),
        )
        return [document for document in found if document["_id"] not in without][:limit]

    async def lacking(
        self, partitions: Sequence[int], names: Many[str], limit: int, after: str = ""
    ) -> Sequence[str]:
        """The next ids of the partitions' documents whose `lacks` has one of the names."""
        found = await self.collection.find(
            {
                "_id": {"$gt": after},
                "lacks": {"$in": sorted(names)},
                "partition": {"$in": list(partitions)},
            },
            fields={"_id": 1},
            sort=[("_id", 1)],
            limit=limit,
        )
        return [document["_id"] for document in found]

    async def drop(self) -> None:
        """Let go of the collection and of all that is in it."""
        with translated():
            await self.database.motor.drop_collection(self.name)

    async def note_ended(self, end: EndedImport) -> None:
        """Remember the end; one that is noted already stays as it is."""
        note = {
            "_id": f"{self.name}|{end.partition}|{end.id}",
            "partition": end.partition,
            "import_id": end.id,
            "until": end.until,
        }
        with translated(), suppress(DuplicateKeyError):
            await self.database.motor[ENDED_IMPORTS].insert_one(note)

    async def ended(self, partitions: Sequence[int]) -> Sequence[EndedImport]:
        """The ends that were noted in the partitions."""
        found = await self.database.collection(ENDED_IMPORTS).find(
            {
                "_id": {"$gte": f"{self.name}|", "$lt": f"{self.name}|\U0010ffff"},
                "partition": {"$in": list(partitions)},
            }
        )
        return [EndedImport(each["partition"], each["import_id"], each["until"]) for each in found]


def unwritable(documents: Sequence[RawDocument]) -> set[str]:
    """The ids of those that BSON cannot express or MongoDB's 16 MiB cannot hold."""
    found = set()
    for document in documents:
        try:
            size = len(bson.encode(document))
        except (OverflowError, InvalidDocument):
            size = LARGEST_DOCUMENT + 1
        if size > LARGEST_DOCUMENT:
            found.add(document["_id"])
    return found


def _guarded(document: RawDocument) -> InsertOne[RawDocument] | ReplaceOne[RawDocument]:
    """The write that meets a duplicate key unless the stored revision is the one before."""
    if document["rev"] == 1:
        return InsertOne(document)
    return ReplaceOne({"_id": document["_id"], "rev": document["rev"] - 1}, document, upsert=True)
