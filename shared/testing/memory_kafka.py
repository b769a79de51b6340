"""Kafka and the change stream of commits in memory: the ports of relays, and a consumer.

Together with `shared.memory` and `shared.testing.virtual_time` whole services of this kernel run
in one thread without waiting, with faults between any two steps.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.clock import Clock
from shared.envelope import decode_light
from shared.eventstore import Commit
from shared.memory import MemoryEventStore
from shared.progress import Progress, decode_progress
from shared.relay import FeedBatch, Record, TokenLost
from shared.relay.ports import Place, Published, Token
from shared.testing.reading import LoggedRecord

POLL_SECONDS = 0.1


async def _nothing(_step: str) -> None:
    return None


Interruption = Callable[[str], Awaitable[None]]
"""Awaited at each named step of a port; may wait, and may raise."""


@dataclass(slots=True)
class MemoryKafka:
    """Topics as lists of records; every topic has the same partitions."""

    clock: Clock
    partitions: int = 3
    logs: dict[Place, list[LoggedRecord]] = field(default_factory=dict)
    progress: list[Progress] = field(default_factory=list)
    newest: dict[str, Progress] = field(default_factory=dict)

    def append(self, topic: str, partition: int, key: bytes, value: bytes) -> int:
        """Take a record; gives its offset."""
        log = self.log(topic, partition)
        timestamp = int(self.clock.system_now().timestamp() * 1000)
        log.append(LoggedRecord(topic, partition, len(log), key, value, timestamp))
        return len(log) - 1

    def log(self, topic: str, partition: int) -> list[LoggedRecord]:
        """The records of a partition."""
        return self.logs.setdefault((topic, partition), [])

    def ids(self, topic: str) -> list[str]:
        """The ids of all events of a topic, partition by partition."""
        return [
            decode_light(record.value).id
            for partition in range(self.partitions)
            for record in self.log(topic, partition)
        ]

    def tell(self, record: Progress) -> None:
        """Take a progress record; the last one of each service is its newest."""
        self.progress.append(record)
        self.newest[record.service] = record


@dataclass(slots=True)
class MemoryPublisher:
    """Implements `Publisher`; steps: `publish`, `ack`, `progress`.

    Records of more than `largest` bytes are refused.
    """

    kafka: MemoryKafka
    topics: Sequence[str]
    largest: int = 1_000_000
    at: Interruption = _nothing

    async def publish(self, records: Sequence[Record]) -> Published:
        """Take the records in order, but the large ones and what follows them in their stream."""
        await self.at("publish")
        offsets: dict[Place, int] = {}
        refused: dict[tuple[Place, str], Record] = {}
        for record in records:
            place = (record.topic, record.partition)
            if (place, record.stream) in refused:
                continue
            if len(record.value) > self.largest:
                refused[(place, record.stream)] = record
                continue
            offsets[place] = 1 + self.kafka.append(*place, record.key, record.value)
        await self.at("ack")
        return Published(offsets, tuple(refused.values()))

    async def end_offsets(self) -> Mapping[Place, int]:
        """The next offset of every partition."""
        return {
            (topic, partition): len(self.kafka.log(topic, partition))
            for topic in self.topics
            for partition in range(self.kafka.partitions)
        }

    async def published(self) -> Mapping[tuple[str, int], int]:
        """Per (stream, partition) the highest version there."""
        highest: dict[tuple[str, int], int] = {}
        for (topic, partition), log in self.kafka.logs.items():
            for light in (decode_light(record.value) for record in log if topic in self.topics):
                place = (light.stream, partition)
                highest[place] = max(highest.get(place, 0), light.streamversion)
        return highest

    async def progress(self, value: bytes) -> None:
        """Keep the progress record."""
        await self.at("progress")
        self.kafka.tell(decode_progress(value))

    async def close(self) -> None:
        """Nothing."""


@dataclass(slots=True)
class MemoryFeed:
    """Implements `CommitFeed`; its token is how many commits were read. Step: `next`.

    The first answer after `open` is empty, as a server's may be. `lost` makes the next use fail as
    if the server had forgotten what lies after the token.
    """

    store: MemoryEventStore
    batch_size: int = 500
    lost: bool = False
    at: Interruption = _nothing
    _position: int | None = None
    _fresh: bool = False

    async def open(self, token: Token | None) -> None:
        """Begin after the token, or now."""
        self._check()
        self._position = len(self.store.commits) if token is None else token["read"]
        self._fresh = True

    async def next(self, wait_seconds: float) -> FeedBatch:
        """The next commits, none when nothing comes within the time."""
        await self.at("next")
        self._check()
        if self._position is None:
            raise RuntimeError("the feed is not open")
        if self._fresh:
            self._fresh = False
            return FeedBatch((), {"read": self._position}, None)
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_seconds
        while self._position == len(self.store.commits) and loop.time() < until:  # noqa: ASYNC110 - a list tells nobody that it has grown
            await asyncio.sleep(min(POLL_SECONDS, wait_seconds))
        commits = self.store.commits[self._position : self._position + self.batch_size]
        self._position += len(commits)
        return FeedBatch(commits, {"read": self._position}, _whole_seconds(commits))

    async def close(self) -> None:
        """Until opened again."""
        self._position = None

    def _check(self) -> None:
        if self.lost:
            self.lost = False
            raise TokenLost


def _whole_seconds(commits: Sequence[Commit]) -> datetime | None:
    return commits[-1].recorded_at.replace(microsecond=0) if commits else None


@dataclass(frozen=True, slots=True)
class MemoryCommitLog:
    """Implements `CommitLog`."""

    store: MemoryEventStore
    batch_size: int = 500

    async def all(self) -> AsyncIterator[Sequence[Commit]]:
        """Every commit, by `recorded_at` and id."""
        commits = sorted(self.store.commits, key=lambda commit: (commit.recorded_at, commit.id))
        for start in range(0, len(commits), self.batch_size):
            await asyncio.sleep(0)
            yield commits[start : start + self.batch_size]

    async def since(self, stream: str, seq: int) -> Sequence[Commit]:
        """The commits of a stream from a seq on."""
        commits = (await self.store.read([stream])).get(stream, ())
        return [commit for commit in commits if commit.seq >= seq]
