"""The change stream of commits, a batch per round trip.

Raw commands rather than the driver's iterator: iterating costs a thread hop per document. Cursor
and `getMore` share one session, as MongoDB demands. Of each change comes only what the relay reads,
since the whole takes twice as long to decode; `_id`, the token, comes always.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import msgspec
from pymongo.errors import OperationFailure

from shared.eventstore import Commit, commit_id
from shared.mongo.connection import Database, Session, translated
from shared.mongo.events import COMMITS, commit_of
from shared.relay.ports import FeedBatch, Token, TokenLost

FATAL_CODES = frozenset({280, 286, 260, 40647, 9})
"""The token leads nowhere: ChangeStreamFatalError, ChangeStreamHistoryLost; or the server cannot
even read it, which happens where another server goes on with the same files: InvalidResumeToken,
and what MongoDB and SecantusDB say of a broken one (40647, FailedToParse)."""

READ = ("stream", "seq", "key", "events", "broadcast")
CHANGES = (
    {"$match": {"operationType": "insert"}},
    {"$project": {"clusterTime": 1, **{f"fullDocument.{name}": 1 for name in READ}}},
)


class Change(msgspec.Struct, frozen=True, gc=False):
    """What the relay reads of a commit; implements `Outgoing`."""

    stream: str
    seq: int
    key: str
    events: Sequence[str]
    broadcast: bool = False

    @property
    def id(self) -> str:
        """The commit's id."""
        return commit_id(self.stream, self.seq)


@dataclass(slots=True)
class MongoFeed:
    """Commits in the order of their writing; implements `CommitFeed`."""

    database: Database
    batch_size: int = 500
    _session: Session | None = None
    _cursor: int = 0
    _first: Mapping[str, Any] = field(default_factory=dict)

    async def open(self, token: Token | None) -> None:
        """Begin after the token, or now. Raises `TokenLost` for one that leads nowhere."""
        await self.close()
        stage: dict[str, Any] = {} if token is None else {"resumeAfter": token}
        command = {
            "aggregate": COMMITS,
            "pipeline": [{"$changeStream": stage}, *CHANGES],
            "cursor": {"batchSize": self.batch_size},
        }
        with translated():
            self._session = await self.database.client.start_session()
        self._first = await self._command(command)

    async def next(self, wait_seconds: float) -> FeedBatch:
        """The next commits, none when nothing comes within the time."""
        if self._first:
            cursor, self._first = self._first, {}
            batch = cursor["firstBatch"]
        else:
            cursor = await self._command(
                {
                    "getMore": self._cursor,
                    "collection": COMMITS,
                    "batchSize": self.batch_size,
                    "maxTimeMS": max(1, int(wait_seconds * 1000)),
                }
            )
            batch = cursor["nextBatch"]
        return FeedBatch(_commits(batch), cursor.get("postBatchResumeToken"), _time(batch))

    async def close(self) -> None:
        """End the cursor's session."""
        if self._session is not None:
            await self._session.end_session()
            self._session = None

    async def __aenter__(self) -> Self:
        """Nothing is opened before `open`."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    async def _command(self, command: dict[str, Any]) -> Mapping[str, Any]:
        with translated():
            try:
                reply = await self.database.motor.command(command, session=self._session)
            except OperationFailure as failure:
                if failure.code in FATAL_CODES:
                    raise TokenLost from failure
                raise
        cursor: Mapping[str, Any] = reply["cursor"]
        self._cursor = cursor["id"]
        return cursor


def _commits(changes: Sequence[Mapping[str, Any]]) -> list[Change]:
    return [
        Change(
            document["stream"],
            document["seq"],
            document["key"],
            document["events"],
            document.get("broadcast", False),
        )
        for document in (change["fullDocument"] for change in changes)
    ]


def _time(changes: Sequence[Mapping[str, Any]]) -> datetime | None:
    """The cluster time of the last change: whole seconds, so never late."""
    if not changes:
        return None
    return datetime.fromtimestamp(changes[-1]["clusterTime"].time, UTC)


@dataclass(frozen=True, slots=True)
class MongoCommitLog:
    """All commits of a database; implements `CommitLog`."""

    database: Database
    batch_size: int = 500

    async def all(self) -> AsyncIterator[Sequence[Commit]]:
        """Every commit, by `recorded_at` and id, in batches."""
        cursor = self.database.motor[COMMITS].find().sort([("recorded_at", 1), ("_id", 1)])
        batch: list[Commit] = []
        with translated():
            async for document in cursor.batch_size(self.batch_size):
                batch.append(commit_of(document))
                if len(batch) == self.batch_size:
                    yield batch
                    batch = []
        if batch:
            yield batch

    async def since(self, stream: str, seq: int) -> Sequence[Commit]:
        """The commits of a stream from a seq on."""
        found = await self.database.collection(COMMITS).find(
            {"stream": stream, "seq": {"$gte": seq}}, sort=[("seq", 1)]
        )
        return [commit_of(document) for document in found]
