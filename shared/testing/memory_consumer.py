"""A consumer group in memory, as far as the projector's loop knows one.

    group = MemoryGroup(kafka)
    worker = MemoryProjector(folder, KafkaUrl("", ""), "customer")
    worker.join(group)

Partition *n* of all topics belongs to one member. A member that is frozen is left out at the next
rebalance and not asked; when it wakes, its commit is refused, and it joins again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiokafka import OffsetAndMetadata, TopicPartition
from aiokafka.errors import CommitFailedError

from shared.envelope import decode_light
from shared.projector import Projector
from shared.testing.memory_kafka import POLL_SECONDS, MemoryKafka
from shared.testing.reading import LoggedRecord

Committing = Callable[[Mapping[TopicPartition, int]], Awaitable[None]]


async def _nothing(_offsets: Mapping[TopicPartition, int]) -> None:
    return None


@dataclass(slots=True)
class MemoryGroup:
    """One group: its members, and what it has committed.

    Fetches have any size that `random` draws, at most `largest`. Where `order` names the events of
    a partition number, they are read in this order across its topics: one that is not there yet is
    waited for. `before_commit` is awaited with each commit, and may raise.
    """

    kafka: MemoryKafka
    random: Random
    largest: int = 2_000
    order: Mapping[int, Sequence[str]] = field(default_factory=dict)
    before_commit: Committing = _nothing
    members: "list[MemoryConsumer]" = field(default_factory=list)
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    generation: int = 0
    _ranks: dict[TopicPartition, list[int]] = field(default_factory=dict)
    _turning: asyncio.Lock = field(default_factory=asyncio.Lock)
    _turns: "set[asyncio.Task[None]]" = field(default_factory=set)

    def turn(self) -> None:
        """Have a rebalance soon."""
        task = asyncio.ensure_future(self.rebalance())
        self._turns.add(task)
        task.add_done_callback(self._turns.discard)

    async def rebalance(self) -> None:
        """Take all partitions back, then hand them out by range to who is not frozen."""
        async with self._turning:
            self.generation += 1
            present = [member for member in self.members if not member.frozen]
            await asyncio.gather(
                *(each.listener.on_partitions_revoked(set(each.positions)) for each in present)
            )
            share, rest = divmod(self.kafka.partitions, max(1, len(present)))
            first = 0
            for index, member in enumerate(present):
                last = first + share + (index < rest)
                member.take(range(first, last), self.generation)
                first = last
            await asyncio.gather(
                *(each.listener.on_partitions_assigned(set(each.positions)) for each in present)
            )

    def ready(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """How many records of each place may be fetched now, from these positions on."""
        ready = {
            place: len(self.kafka.log(place.topic, place.partition)) - position
            for place, position in positions.items()
        }
        for partition in {place.partition for place in positions} & self.order.keys():
            ready |= self._in_order(
                self.order[partition],
                {place: at for place, at in positions.items() if place.partition == partition},
            )
        return ready

    def _in_order(
        self, order: Sequence[str], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Only the topic whose turn it is, up to the turn of another; repeats are always free."""
        ranks = {place: self._ranks_of(place, order) for place in positions}
        done = -1
        for place, at in positions.items():
            done = max(done, max(ranks[place][:at], default=-1))
        ready = dict.fromkeys(positions, 0)
        for place, at in positions.items():
            last = done
            for each in ranks[place][at:]:
                if each > last + 1:
                    break
                last = max(last, each)
                ready[place] += 1
            if ready[place]:
                break
        return ready

    def _ranks_of(self, place: TopicPartition, order: Sequence[str]) -> Sequence[int]:
        """The places of a log's events in the order."""
        ranks = self._ranks.setdefault(place, [])
        log = self.kafka.log(place.topic, place.partition)
        ranks += [order.index(decode_light(record.value).id) for record in log[len(ranks) :]]
        return ranks


class MemoryConsumer:
    """What the loop calls of an `AIOKafkaConsumer`."""

    def __init__(self, group: MemoryGroup) -> None:
        self.group = group
        self.listener: Any = None
        self.frozen = False
        self.positions: dict[TopicPartition, int] = {}
        self._topics: Sequence[str] = ()
        self._generation = 0
        self._paused: set[TopicPartition] = set()

    async def start(self) -> None:
        """Connect."""

    def subscribe(self, topics: Sequence[str], listener: object) -> None:
        """Join the group."""
        self._topics, self.listener = topics, listener
        self.group.members.append(self)
        self.group.turn()

    def take(self, partitions: Iterable[int], generation: int) -> None:
        """Own these partitions of all topics, from the committed offsets on."""
        places = [TopicPartition(topic, number) for topic in self._topics for number in partitions]
        self.positions = {place: self.group.committed.get(place, 0) for place in places}
        self._paused.clear()
        self._generation = generation

    async def getmany(
        self, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, Sequence[LoggedRecord]]:
        """Some of what is there, as the group draws it."""
        for _ in range(max(1, int(timeout_ms / 1000 / POLL_SECONDS))):
            fetched = self._fetch(min(max_records, self.group.largest))
            if fetched:
                return fetched
            await asyncio.sleep(POLL_SECONDS)
        return {}

    def _fetch(self, most: int) -> dict[TopicPartition, Sequence[LoggedRecord]]:
        fetched: dict[TopicPartition, Sequence[LoggedRecord]] = {}
        ready = self.group.ready(self.positions)
        places = [place for place in self.positions if place not in self._paused]
        self.group.random.shuffle(places)
        for place in places:
            count = min(ready[place], self.group.random.randint(1, most))
            if count > 0:
                at = self.positions[place]
                log = self.group.kafka.log(place.topic, place.partition)
                fetched[place] = log[at : at + count]
                self.positions[place] = at + count
        return fetched

    def pause(self, place: TopicPartition) -> None:
        """Fetch nothing of it."""
        self._paused.add(place)

    def resume(self, place: TopicPartition) -> None:
        """Fetch of it again."""
        self._paused.discard(place)

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go on from there."""
        self.positions[place] = offset

    async def committed(self, place: TopicPartition) -> int | None:
        """What the group has committed."""
        await asyncio.sleep(0)
        return self.group.committed.get(place)

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit. Raises `CommitFailedError` for who was left out of a rebalance."""
        plain = {place: entry.offset for place, entry in offsets.items()}
        await self.group.before_commit(plain)
        await asyncio.sleep(0)
        if self._generation != self.group.generation or self not in self.group.members:
            self.group.turn()
            raise CommitFailedError
        self.group.committed |= plain

    async def stop(self) -> None:
        """Leave the group."""
        if self in self.group.members:
            self.group.members.remove(self)
            self.group.turn()


class MemoryProjector(Projector):
    """The loop, on a group in memory."""

    group_in_memory: MemoryGroup
    consumer: MemoryConsumer

    def join(self, group: MemoryGroup) -> None:
        """Say which group it is; to be called before `run`."""
        self.group_in_memory = group

    def _consumer(self) -> MemoryConsumer:
        self.consumer = MemoryConsumer(self.group_in_memory)
        return self.consumer
