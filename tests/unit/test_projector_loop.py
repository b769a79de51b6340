"""The loop over a consumer: offsets after what is durable, partitions that change hands."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError

from shared.eventstore import StoreUnavailable
from shared.kafka import KafkaUrl, partition_of
from shared.memory import MemoryParking
from shared.projector import Folder, ParkingFull
from shared.readmodel import ParkedEvent, RawDocument
from shared.testing.diaries import TOPIC, Diary, diaries
from shared.testing.memory_consumer import MemoryGroup, MemoryProjector
from shared.testing.memory_kafka import MemoryKafka
from shared.testing.virtual_time import LoopClock, in_virtual_time
from tests.unit.folding import KEYS, TroubledDocuments, log_of

PARTITIONS = 3
Lines = dict[str, list[str]]


@dataclass(slots=True)
class Ward:
    """A topic of diaries, a group that reads it, and what it has written."""

    kafka: MemoryKafka = field(default_factory=lambda: MemoryKafka(LoopClock(), PARTITIONS))
    documents: TroubledDocuments = field(default_factory=TroubledDocuments)
    parking: MemoryParking = field(default_factory=MemoryParking)
    group: MemoryGroup = field(init=False)
    seed: int = 0
    written: Lines = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.group = MemoryGroup(self.kafka, Random(self.seed), largest=7)

    def worker(self, *, limit: int = 1_000, mended: bool = False) -> MemoryProjector:
        folder: Folder[Diary] = Folder(
            diaries(mended=mended), self.documents, self.parking, KEYS, limit
        )
        worker = MemoryProjector(folder, KafkaUrl("", ""), "customer")
        worker.join(self.group)
        return worker

    async def write(self, *lines: tuple[str, str]) -> None:
        """Put lines into the topic; an owner's lines must all come in one call."""
        place = partition_of(PARTITIONS)
        for record in await log_of(*lines):
            self.kafka.append(TOPIC, place(record.key), record.key, record.value)
        for owner, text in lines:
            self.written.setdefault(owner, []).append(text)

    def lines(self) -> Lines:
        return {raw["_id"]: raw["lines"] for raw in self.documents.everything()}

    def check_offsets(self) -> None:
        """What is committed is in the documents or parked."""
        versions = {raw["_id"]: raw["versions"] for raw in self.documents.everything()}
        for place, offset in self.group.committed.items():
            for record in self.kafka.log(place.topic, place.partition)[:offset]:
                owner = record.key.decode()
                assert f"customer-{owner}" in versions.get(owner, {})


@asynccontextmanager
async def running(*workers: MemoryProjector) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        done, pending = await asyncio.wait(tasks, timeout=60)
        assert not pending
        for task in done:
            task.result()


@in_virtual_time
async def test_everything_is_folded_and_committed_per_partition() -> None:
    ward = Ward()
    await ward.write(*((f"o{n % 9}", f"{n}") for n in range(180)))
    async with running(ward.worker()):
        await asyncio.sleep(30)
    assert ward.lines() == ward.written
    assert ward.group.committed == {
        TopicPartition(TOPIC, partition): len(ward.kafka.log(TOPIC, partition))
        for partition in range(PARTITIONS)
    }


@in_virtual_time
async def test_an_offset_is_committed_after_its_batch_is_durable() -> None:
    ward = Ward()
    await ward.write(*((f"o{n % 9}", f"{n}") for n in range(60)))
    checked = 0

    async def check(offsets: Mapping[TopicPartition, int]) -> None:
        nonlocal checked
        for place, offset in offsets.items():
            for record in ward.kafka.log(place.topic, place.partition)[:offset]:
                text = record.value.partition(b'"topic":"')[2].partition(b'"')[0].decode()
                assert text in ward.lines()[record.key.decode()]
                checked += 1

    ward.group.before_commit = check
    async with running(ward.worker()):
        await asyncio.sleep(30)
    assert checked >= 60


@in_virtual_time
async def test_while_the_database_is_away_the_same_batch_waits_and_nothing_is_committed() -> None:
    ward = Ward()
    await ward.write(("anna", "1"), ("anna", "2"))
    ward.documents.absences = 5
    async with running(ward.worker()):
        # 0.1, 0.2, 0.4 and 0.8 seconds between five tries in vain.
        await asyncio.sleep(1.4)
        assert ward.group.committed == {}
        await asyncio.sleep(5)
        assert ward.lines() == {"anna": ["1", "2"]}
    assert sum(ward.group.committed.values()) == 2


@in_virtual_time
async def test_partitions_change_hands_without_loss_and_without_order_lost() -> None:
    ward = Ward(seed=3)
    ward.group.largest = 3
    await ward.write(*((f"o{n % 20}", f"{n}") for n in range(400)))
    async with running(ward.worker()):
        await asyncio.sleep(1)
        async with running(ward.worker(), ward.worker()):
            await asyncio.sleep(1)
        async with running(ward.worker()):
            await asyncio.sleep(0.5)
        await asyncio.sleep(60)
    assert ward.lines() == ward.written
    ward.check_offsets()


@in_virtual_time
async def test_a_worker_that_was_frozen_sets_back_neither_documents_nor_offsets() -> None:
    ward = Ward()
    ward.group.largest = 4
    await ward.write(*((f"o{n % 6}", f"{n}") for n in range(120)))
    frozen, other = ward.worker(), ward.worker()
    wake = asyncio.Event()
    slow = FreezingDocuments(ward.documents, wake, after=3)
    frozen.folder.documents = slow
    async with running(frozen):
        await slow.reached.wait()
        frozen.consumer.frozen = True
        async with running(other):
            await asyncio.sleep(30)
            assert ward.lines() == ward.written
            committed, documents = dict(ward.group.committed), ward.documents.everything()
            wake.set()
            await asyncio.sleep(0.2)
            frozen.consumer.frozen = False
            await asyncio.sleep(10)
            assert ward.group.committed == committed
            assert list(ward.documents.everything()) == list(documents)
        await asyncio.sleep(1)


@dataclass(slots=True)
class FreezingDocuments:
    """Documents whose reader falls asleep with a batch in hand, before it writes."""

    documents: TroubledDocuments
    wake: asyncio.Event
    after: int
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def load(self, ids: Sequence[str]) -> Mapping[str, RawDocument]:
        return await self.documents.load(ids)

    async def write(self, documents: Sequence[RawDocument]) -> set[str]:
        self.after -= 1
        if self.after == 0:
            self.reached.set()
            await self.wake.wait()
        return await self.documents.write(documents)


@in_virtual_time
async def test_a_commit_that_comes_after_a_rebalance_is_no_failure() -> None:
    ward = Ward()
    await ward.write(("anna", "1"), ("anna", "2"), ("anna", "3"))
    failures = 3

    async def fail(_offsets: Mapping[TopicPartition, int]) -> None:
        nonlocal failures
        failures -= 1
        if failures > 0:
            ward.group.turn()
            raise CommitFailedError

    ward.group.before_commit = fail
    async with running(ward.worker()):
        await asyncio.sleep(10)
    assert ward.lines() == {"anna": ["1", "2", "3"]}
    assert sum(ward.group.committed.values()) == 3


@in_virtual_time
async def test_a_consumer_that_breaks_is_made_anew() -> None:
    ward = Ward()
    await ward.write(("anna", "1"), ("ben", "1"), ("anna", "2"))
    broken = 2

    async def break_down(_offsets: Mapping[TopicPartition, int]) -> None:
        nonlocal broken
        broken -= 1
        if broken >= 0:
            raise KafkaConnectionError

    ward.group.before_commit = break_down
    worker = ward.worker()
    async with running(worker):
        await asyncio.sleep(10)
        assert worker.ready
    assert ward.lines() == {"anna": ["1", "2"], "ben": ["1"]}
    assert sum(ward.group.committed.values()) == 3


@in_virtual_time
async def test_stopping_finishes_the_batch_and_commits_it() -> None:
    ward = Ward()
    await ward.write(*(("anna", f"{n}") for n in range(6)))
    ward.documents.absences = 2
    worker = ward.worker()
    async with running(worker):
        await asyncio.sleep(0.1)
    ward.check_offsets()
    folded = len(ward.lines()["anna"])
    assert sum(ward.group.committed.values()) == folded > 0


@in_virtual_time
async def test_too_much_parked_ends_the_worker_with_the_error() -> None:
    ward = Ward()
    await ward.write(("anna", "!1"), ("anna", "2"), ("anna", "3"))
    worker = ward.worker(limit=1)
    with pytest.raises(ParkingFull):
        await worker.run()
    assert ward.group.members == []
    assert ward.lines() == {}


@in_virtual_time
async def test_a_replay_that_is_asked_for_is_done_by_the_owner_beside_its_batches() -> None:
    ward = Ward()
    await ward.write(("anna", "1"), ("anna", "!2"), ("anna", "3"), ("ben", "1"))
    async with running(ward.worker()):
        await asyncio.sleep(5)
    assert ward.lines() == {"anna": ["1"], "ben": ["1"]}
    async with running(ward.worker(mended=True)):
        await asyncio.sleep(5)
        assert ward.lines()["anna"] == ["1"]
        await ward.parking.request_replay(b"anna")
        await asyncio.sleep(1)
        assert ward.lines() == ward.written


@dataclass(slots=True)
class AbsentParking(MemoryParking):
    """Parking in a database that is away at first."""

    absences: int = 3

    async def parked(self, partitions: Sequence[int]) -> Sequence[ParkedEvent]:
        if self.absences:
            self.absences -= 1
            raise StoreUnavailable
        return await MemoryParking.parked(self, partitions)


@in_virtual_time
async def test_nothing_is_folded_before_it_is_known_what_is_parked() -> None:
    ward = Ward()
    await ward.write(("anna", "1"), ("anna", "!2"), ("anna", "3"))
    async with running(ward.worker()):
        await asyncio.sleep(5)
    parked = ward.parking
    ward.parking = AbsentParking(parked._events)  # noqa: SLF001 - the same events
    ward.group.committed = dict.fromkeys(ward.group.committed, 0)
    async with running(ward.worker(mended=True)):
        await asyncio.sleep(10)
    assert ward.lines() == {"anna": ["1"]}
