"""What the relay needs of the world, so that tests can stand in for each part."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import msgspec

from shared.eventstore import Commit

Token = Mapping[str, Any]
Place = tuple[str, int]
"""Topic and partition."""


class TokenLost(Exception):  # noqa: N818 - a state of the feed, answered by an audit
    """The resume token is unknown or too old: audit, then tail from a new one."""


class Outgoing(Protocol):
    """What the relay reads of a commit."""

    @property
    def id(self) -> str:
        """The commit's id."""
        ...

    @property
    def stream(self) -> str:
        """The stream that it belongs to."""
        ...

    @property
    def seq(self) -> int:
        """Its place there."""
        ...

    @property
    def key(self) -> str:
        """The Kafka key."""
        ...

    @property
    def events(self) -> Sequence[str]:
        """CloudEvents JSON texts."""
        ...

    @property
    def broadcast(self) -> bool:
        """Whether it goes to every partition."""
        ...


@dataclass(frozen=True, slots=True)
class FeedBatch:
    """Commits in the order of their writing, and the token to go on from after them.

    `time` is the database's clock at the last of them, None for an empty batch.
    """

    commits: Sequence[Outgoing]
    token: Token | None
    time: datetime | None


class CommitFeed(Protocol):
    """The tail of the store's change stream."""

    async def open(self, token: Token | None) -> None:
        """Begin after the token, or now. Raises `TokenLost`."""
        ...

    async def next(self, wait_seconds: float) -> FeedBatch:
        """The next commits; empty when nothing comes within the time. Raises `TokenLost`."""
        ...

    async def close(self) -> None:
        """End the tail."""
        ...


class CommitLog(Protocol):
    """All commits of the store, for audits and for streams that were refused."""

    def all(self) -> AsyncIterator[Sequence[Commit]]:
        """Every commit, by `recorded_at`, in batches."""
        ...

    async def since(self, stream: str, seq: int) -> Sequence[Commit]:
        """The commits of a stream from a seq on."""
        ...


class Record(msgspec.Struct, frozen=True, gc=False):
    """One event on its way to one partition."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    stream: str
    seq: int


@dataclass(frozen=True, slots=True)
class Published:
    """What Kafka took: the next offset of each partition written to; and what it refused.

    Where a record is refused, the later records of its stream were not sent.
    """

    offsets: Mapping[Place, int]
    refused: Sequence[Record] = field(default_factory=tuple)


class BrokerUnavailable(Exception):  # noqa: N818 - a state of the world, retried
    """The broker does not answer: send the same records again."""


class Publisher(Protocol):
    """Kafka, as the relay sees it."""

    async def publish(self, records: Sequence[Record]) -> Published:
        """Send the records, those of a partition in their order, and wait for every ack.

        Raises `BrokerUnavailable`; a record may then have been taken, but none whose
        predecessor in the same partition was not.
        """
        ...

    async def end_offsets(self) -> Mapping[Place, int]:
        """The next offset of every partition of the service's topics."""
        ...

    async def published(self) -> Mapping[tuple[str, int], int]:
        """From the topics themselves: per (stream, partition) the highest version there."""
        ...

    async def progress(self, value: bytes) -> None:
        """Write the service's progress record."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...
