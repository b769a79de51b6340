"""The loop over a consumer: fetch, fold, commit; and what happens when partitions change hands.

One worker owns partition *n* of every topic it reads (range assignor). Fetching happens outside
the lock, everything else inside, so that a revoke waits for the batch in hand. Offsets are
committed per partition, after the batch is durable, never by position. When the database is away
the same batch is tried again; when too much is parked the loop ends with the error, and the
process with it.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from shared import telemetry
from shared.eventstore import StoreUnavailable
from shared.kafka.connection import KafkaUrl, stop
from shared.keyring import MissingKey
from shared.projector.errands import Errands
from shared.projector.folder import Folder
from shared.records import RawRecord

MAX_RECORDS = 2_000
FETCH_BYTES = 8_000_000
PARTITION_FETCH_BYTES = 1_048_576
IDLE_MS = 200
ERRANDS_SHARE = 0.7
"""Of the time of a batch, for errands behind it: no flood of timers makes events wait twice."""
REPLAY_SECONDS = 1.0
"""How often it is looked whether a replay was asked for: a look reads what is parked."""
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0
RETRIED = (StoreUnavailable, MissingKey, TimeoutError)

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class Projector:
    """Runs one projection in one process; the group is named after the projection.

    `positions` are the next offsets to apply of the owned partitions, by full topic name.
    """

    folder: Folder[Any]
    url: KafkaUrl
    service: str
    errands: Errands[Any] | None = None
    max_records: int = MAX_RECORDS
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    owned: set[TopicPartition] = field(default_factory=set)
    ready: bool = False
    _stopping: bool = False
    _busy: bool = False
    _replay_at: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _barriers: dict[TopicPartition, RawRecord] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The consumer group, without the installation's prefix."""
        return f"{self.service}.{self.folder.projection.name}"

    @property
    def topics(self) -> list[str]:
        """The full names of the topics it reads."""
        return [self.url.topic(topic) for topic in self.folder.projection.topics]

    async def run(self) -> None:
        """Consume until `stop`. Raises `ParkingFull`."""
        while not self._stopping:
            consumer = self._consumer()
            try:
                await consumer.start()
                consumer.subscribe(self.topics, listener=_Listener(self, consumer))
                while not self._stopping:
                    await self._turn(consumer)
            except (KafkaError, OSError) as failure:
                log.warning(
                    "consumer starts again", group=self.group, reason=type(failure).__name__
                )
            finally:
                self.ready = False
                if self.errands is not None:
                    self.errands.forget()
                await _stop(consumer)
            await asyncio.sleep(FIRST_DELAY_SECONDS)

    def stop(self) -> None:
        """Finish the batch in hand, commit, and leave the group."""
        self._stopping = True

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self.url.bootstrap,
            group_id=self.url.topic(self.group),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(RangePartitionAssignor,),
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
        )

    async def _turn(self, consumer: AIOKafkaConsumer) -> None:
        """One fetch, its batch, and a slice of errands."""
        hurried = bool(self._barriers) or self._busy
        fetched = await consumer.getmany(
            timeout_ms=1 if hurried else IDLE_MS, max_records=self.max_records
        )
        async with self._lock:
            seconds = None
            if fetched:
                began = asyncio.get_running_loop().time()
                await self._apply(consumer, fetched)
                seconds = (asyncio.get_running_loop().time() - began) * ERRANDS_SHARE
            self._busy = busy = await self._run_errands(consumer, seconds)
        if self._barriers and not fetched and not busy:
            await asyncio.sleep(IDLE_MS / 1000)

    async def _apply(
        self, consumer: AIOKafkaConsumer, fetched: Mapping[TopicPartition, Sequence[RawRecord]]
    ) -> None:
        """Fold what is still owned, and commit it."""
        records: list[RawRecord] = []
        offsets: dict[TopicPartition, int] = {}
        for place, batch in fetched.items():
            if place not in self.owned or place in self._barriers:
                continue
            taken = self._up_to_barrier(consumer, place, batch)
            if taken:
                records += taken
                offsets[place] = taken[-1].offset + 1
        if records:
            await self._until_done(records)
            await self._commit(consumer, offsets)

    def _up_to_barrier(
        self, consumer: AIOKafkaConsumer, place: TopicPartition, batch: Sequence[RawRecord]
    ) -> Sequence[RawRecord]:
        """The records before a barrier; the partition then stands still at it."""
        if self.errands is None:
            return batch
        for index, record in enumerate(batch):
            if self.errands.is_barrier(record):
                self._barriers[place] = record
                consumer.pause(place)
                consumer.seek(place, record.offset)
                return batch[:index]
        return batch

    async def _until_done(self, records: Sequence[RawRecord]) -> None:
        """Fold the batch, waiting longer each time while a server is away."""
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                with telemetry.BATCH_SECONDS.labels(self.group).time():
                    await self.folder.fold(records)
            except RETRIED as failure:
                telemetry.BATCH_RETRIES.labels(self.group).inc()
                log.warning("batch waits", group=self.group, reason=str(failure))
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_DELAY_SECONDS)
            else:
                return

    async def _commit(
        self, consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]
    ) -> None:
        for place, offset in offsets.items():
            self.positions[(place.topic, place.partition)] = offset
        try:
            await consumer.commit(
                {place: OffsetAndMetadata(offset, "") for place, offset in offsets.items()}
            )
        except (CommitFailedError, IllegalStateError):
            # The partitions have moved on; their new owner folds the batch again, to no effect.
            log.info("offsets not committed after a rebalance", group=self.group)

    async def _run_errands(self, consumer: AIOKafkaConsumer, seconds: float | None) -> bool:
        try:
            partitions = sorted({place.partition for place in self.owned})
            now = asyncio.get_running_loop().time()
            if now >= self._replay_at:
                self._replay_at = now + REPLAY_SECONDS
                await self.folder.replay(partitions)
            if self.errands is None:
                return False
            busy = False
            for place, record in list(self._barriers.items()):
                if await self.errands.pass_barrier(record, self.positions):
                    await self._leave_barrier(consumer, place, record)
                    busy = True
            return await self.errands.run_slice(partitions, self.positions, seconds) or busy
        except RETRIED as failure:
            log.warning("errands wait", group=self.group, reason=str(failure))
            return False

    async def _leave_barrier(
        self, consumer: AIOKafkaConsumer, place: TopicPartition, record: RawRecord
    ) -> None:
        del self._barriers[place]
        await self._commit(consumer, {place: record.offset + 1})
        consumer.seek(place, record.offset + 1)
        consumer.resume(place)

    async def assigned(
        self, consumer: AIOKafkaConsumer, places: Collection[TopicPartition]
    ) -> None:
        """Own the partitions from now on."""
        async with self._lock:
            self.owned = set(places)
            self._barriers.clear()
            self.positions.clear()
            for place in self.owned:
                committed = await self._committed(consumer, place)
                self.positions[(place.topic, place.partition)] = committed
            if self.errands is not None:
                self.errands.forget()
            await self._learn_parked()
            self.ready = True

    async def _committed(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
        """The next offset to apply; an error here would leave the partition owned and untended."""
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                return await consumer.committed(place) or 0
            except KafkaError as failure:
                log.warning("offset unread", group=self.group, reason=type(failure).__name__)
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_DELAY_SECONDS)

    async def _learn_parked(self) -> None:
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                await self.folder.assigned(sorted({place.partition for place in self.owned}))
            except StoreUnavailable:
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_DELAY_SECONDS)
            else:
                return

    async def revoked(self) -> None:
        """Wait for the batch in hand; what is fetched but not folded is dropped."""
        async with self._lock:
            self.owned = set()
            self._barriers.clear()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    """Tells the projector what it owns."""

    def __init__(self, projector: Projector, consumer: AIOKafkaConsumer) -> None:
        self._projector = projector
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """The group rebalances: all partitions are given back first."""
        del revoked
        await self._projector.revoked()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """The new assignment."""
        await self._projector.assigned(self._consumer, assigned)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    try:
        await stop(consumer)
    except (KafkaError, OSError) as failure:
        log.info("consumer stopped badly", reason=type(failure).__name__)
