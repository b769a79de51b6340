"""The event store on MongoDB: one document per commit, one per claim."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pymongo import IndexModel, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from shared.eventstore import (
    Append,
    Claim,
    ClaimChange,
    CommandMark,
    Commit,
    Head,
    Known,
    StoreUnavailable,
    check_one_commit_per_stream,
    first_expiry,
)
from shared.mongo.connection import (
    APPEND_DEADLINE,
    Database,
    Session,
    abandoned_at,
    lost_indexes,
    translated,
)
from shared.mongo.transactions import transact
from shared.parts import PartSize
from shared.readmodel import RawDocument

COMMITS = "commits"
CLAIMS = "claims"
FIRST_CLAIMING = 64
MOST_CLAIMING = 1_000
"""Appends of one transaction that need one: as many at first, and at most."""


def commit_document(commit: Commit) -> RawDocument:
    """A commit as it is stored."""
    document: RawDocument = {
        "_id": commit.id,
        "stream": commit.stream,
        "seq": commit.seq,
        "version": commit.version,
        "key": commit.key,
        "recorded_at": commit.recorded_at,
        "events": list(commit.events),
    }
    if commit.commands:
        document["commands"] = [
            {"id": mark.id, "hash": mark.hash, "version": mark.version} for mark in commit.commands
        ]
    if commit.broadcast:
        document["broadcast"] = True
    if commit.redirect is not None:
        document["redirect"] = commit.redirect
    return document


def commit_of(document: Mapping[str, Any]) -> Commit:
    """A stored commit."""
    return Commit(
        stream=document["stream"],
        seq=document["seq"],
        version=document["version"],
        key=document["key"],
        recorded_at=document["recorded_at"],
        commands=tuple(
            CommandMark(mark["id"], mark["hash"], mark["version"])
            for mark in document.get("commands", ())
        ),
        events=tuple(document["events"]),
        broadcast=document.get("broadcast", False),
        redirect=document.get("redirect"),
    )


def _claim_of(document: Mapping[str, Any]) -> Claim:
    return Claim(document["_id"], document["owner"], document["epoch"])


class ClaimLost(Exception):  # noqa: N818 - an answer that aborts the transaction
    """A claim is not as the decision found it."""


@dataclass(frozen=True, slots=True)
class MongoEventStore:
    """An event store in one database; an append is abandoned when one of its commits expires.

    One that does not say when, does so the deadline after the append began.
    """

    database: Database
    append_deadline: timedelta = APPEND_DEADLINE
    _part: PartSize = field(
        default_factory=lambda: PartSize(FIRST_CLAIMING, MOST_CLAIMING), compare=False, repr=False
    )

    async def create_indexes(self) -> None:
        """Make sure that what uniqueness and speed rest on is there."""
        with translated():
            await self.database.motor[COMMITS].create_indexes(
                [
                    IndexModel([("stream", 1), ("seq", -1)]),
                    # Sparse, so that commits without commands do not exclude each other.
                    IndexModel([("commands.id", 1)], unique=True, sparse=True),
                    IndexModel([("recorded_at", 1)]),
                ]
            )
            await self.database.motor[CLAIMS].create_indexes([IndexModel([("owner", 1)])])

    async def known(self, command_ids: Sequence[str]) -> Mapping[str, Known]:
        """Those of the commands that are recorded."""
        if not command_ids:
            return {}
        wanted = set(command_ids)
        found = await self.database.collection(COMMITS).find(
            {"commands.id": {"$in": sorted(wanted)}}, fields={"stream": 1, "commands": 1}
        )
        return {
            mark["id"]: Known(
                document["stream"], CommandMark(mark["id"], mark["hash"], mark["version"])
            )
            for document in found
            for mark in document["commands"]
            if mark["id"] in wanted
        }

    async def heads(self, streams: Sequence[str]) -> Mapping[str, Head]:
        """The heads of the streams that exist."""
        found = await self.database.collection(COMMITS).aggregate(
            [
                {"$match": {"stream": {"$in": list(streams)}}},
                {"$sort": {"stream": 1, "seq": -1}},
                {
                    "$group": {
                        "_id": "$stream",
                        "seq": {"$first": "$seq"},
                        "version": {"$first": "$version"},
                        "redirect": {"$first": "$redirect"},
                    }
                },
            ]
        )
        return {
            document["_id"]: Head(document["seq"], document["version"], document.get("redirect"))
            for document in found
        }

    async def read(self, streams: Sequence[str]) -> Mapping[str, Sequence[Commit]]:
        """All commits of the streams that exist."""
        found = await self.database.collection(COMMITS).find(
            {"stream": {"$in": list(streams)}}, sort=[("stream", 1), ("seq", 1)]
        )
        commits: dict[str, list[Commit]] = {}
        for document in found:
            commits.setdefault(document["stream"], []).append(commit_of(document))
        return commits

    async def names(self, prefix: str) -> Sequence[str]:
        """The names of all streams that begin with the prefix, sorted."""
        found = await self.database.collection(COMMITS).find(
            {"stream": {"$gte": prefix, "$lt": prefix + "\U0010ffff"}, "seq": 1},
            fields={"stream": 1},
            sort=[("stream", 1)],
        )
        return [document["stream"] for document in found]

    async def claims(self, ids: Sequence[str]) -> Mapping[str, Claim]:
        """The claims on the values that were ever claimed."""
        found = await self.database.collection(CLAIMS).find({"_id": {"$in": list(ids)}})
        return {document["_id"]: _claim_of(document) for document in found}

    async def claims_of(self, owners: Sequence[str]) -> Sequence[Claim]:
        """The claims that the owners hold now, by id."""
        found = await self.database.collection(CLAIMS).find(
            {"owner": {"$in": list(owners)}}, sort=[("_id", 1)]
        )
        return [_claim_of(document) for document in found]

    async def append(self, appends: Sequence[Append]) -> Sequence[bool]:
        """Append at most one commit per stream; says for each whether it was."""
        check_one_commit_per_stream(appends)
        deadline = self._deadline(appends)
        with abandoned_at(deadline):
            return await self._append(appends, deadline)

    async def append_together(self, appends: Sequence[Append]) -> bool:
        """Append all of them with their claims in one transaction, or nothing."""
        check_one_commit_per_stream(appends)
        with abandoned_at(self._deadline(appends)):
            return await self._get_in(appends)

    def _deadline(self, appends: Sequence[Append]) -> float:
        otherwise = asyncio.get_running_loop().time() + self.append_deadline.total_seconds()
        commits = (commit for append in appends for commit in append.commits)
        return first_expiry(commits, otherwise)

    async def _append(self, appends: Sequence[Append], deadline: float) -> Sequence[bool]:
        appended = [False] * len(appends)
        plain = [index for index, append in enumerate(appends) if append.alone]
        claiming = [index for index, append in enumerate(appends) if not append.alone]
        if plain:
            lost = await self._insert([appends[index].commit for index in plain])
            for position, index in enumerate(plain):
                appended[index] = position not in lost
        if claiming:
            done = await self._claim_in_parts([appends[index] for index in claiming], deadline)
            for index, got_in in zip(claiming, done, strict=False):
                appended[index] = got_in
        return appended

    async def _claim_in_parts(self, appends: Sequence[Append], deadline: float) -> Sequence[bool]:
        """Append part after part, each in a transaction, while there is time for one more.

        Gives the answers of those parts; of the others nothing was written.
        """
        loop = asyncio.get_running_loop()
        patience = deadline - loop.time()
        done: list[bool] = []
        each = 0.0
        while part := appends[len(done) : len(done) + self._part.size]:
            began = loop.time()
            if deadline - began < each * len(part):
                break
            try:
                done += await self._claim(part)
            except (StoreUnavailable, asyncio.CancelledError):
                self._part.failed(len(part))
                raise
            took = loop.time() - began
            self._part.took(len(part), took / patience)
            each = 1.5 * took / len(part)
        return done

    async def _insert(self, commits: Sequence[Commit]) -> set[int]:
        documents = [commit_document(commit) for commit in commits]
        with translated():
            try:
                await self.database.motor[COMMITS].insert_many(documents, ordered=False)
            except BulkWriteError as failure:
                return lost_indexes(failure)
        return set()

    async def _claim(self, appends: Sequence[Append]) -> Sequence[bool]:
        """All in one transaction; where one is in the way, each in its own."""
        if await self._get_in(appends):
            return [True] * len(appends)
        if len(appends) == 1:
            return [False]
        return [await self._get_in([append]) for append in appends]

    async def _get_in(self, appends: Sequence[Append]) -> bool:
        """All in one transaction; False where somebody was faster, and nothing was written."""
        try:
            await self._transact(appends)
        except (DuplicateKeyError, BulkWriteError, ClaimLost) as failure:
            if isinstance(failure, BulkWriteError):
                lost_indexes(failure)
            return False
        return True

    async def _transact(self, appends: Sequence[Append]) -> None:
        async def work(session: Session) -> None:
            commits = [commit for append in appends for commit in append.commits]
            await insert_commits(self.database, commits, session)
            await self._change_claims(
                [change for append in appends for change in append.claims], session
            )

        await transact(self.database, work)

    async def _change_claims(self, changes: Sequence[ClaimChange], session: Session) -> None:
        if not changes:
            return
        operations: list[InsertOne[RawDocument] | UpdateOne] = []
        updates = 0
        for change in changes:
            if change.expected == 0:
                operations.append(
                    InsertOne({"_id": change.id, "owner": change.owner, "epoch": change.epoch})
                )
            else:
                updates += 1
                operations.append(
                    UpdateOne(
                        {"_id": change.id, "epoch": change.expected},
                        {"$set": {"owner": change.owner, "epoch": change.epoch}},
                    )
                )
        result = await self.database.motor[CLAIMS].bulk_write(operations, session=session)
        if result.matched_count != updates:
            raise ClaimLost


async def insert_commits(database: Database, commits: Sequence[Commit], session: Session) -> None:
    """Insert commits within a transaction; any conflict aborts it."""
    if commits:
        await database.motor[COMMITS].insert_many(
            [commit_document(commit) for commit in commits], session=session
        )
