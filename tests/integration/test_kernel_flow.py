"""From a command to the read model and back into the log, on real servers, as a service runs it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.clock import SystemClock
from shared.decider import Decider, NewEvent
from shared.envelope import Causation, decode
from shared.events import TOPICS
from shared.events.contract import EventData, show_moment
from shared.events.imports import ImportEnded
from shared.execute import Command, Writer
from shared.kafka import (
    KafkaPublisher,
    KafkaUrl,
    ProgressReader,
    ensure_topics,
    group_lag,
    partition_of,
)
from shared.keyring import Keyring
from shared.memory import MemoryKeyStore
from shared.mongo import (
    Database,
    MongoCommitLog,
    MongoDocuments,
    MongoEventStore,
    MongoFeed,
    MongoLeases,
    MongoParking,
)
from shared.projector import Errands, Folder, Projector, SteppedFolder
from shared.relay import Relay
from shared.relay.records import Router
from shared.testing import DAY, MongoSpace, diary, eventually, note, receive
from shared.testing.diaries import Habits, HabitSource, diaries, habits
from tests.faults.workers import MASTER

PARTITIONS = 3
SERVICE = "customer"
CUSTOMERS, DEALS = TOPICS[SERVICE]
CLOCK = SystemClock()
DEADLINE = timedelta(seconds=2)


@dataclass(slots=True)
class House:
    """One service: its writer, its relay and its workers."""

    kafka: KafkaUrl
    database: Database
    keyring: Keyring = field(default_factory=lambda: Keyring(MemoryKeyStore(), MASTER))
    progress: ProgressReader = field(init=False)
    source: HabitSource = field(init=False)

    def __post_init__(self) -> None:
        self.progress = ProgressReader(self.kafka, (SERVICE,))
        self.source = HabitSource(make=lambda rules: habits(rules, topics=(CUSTOMERS, DEALS)))

    def writer(self) -> Writer:
        return Writer(MongoEventStore(self.database), self.keyring, CLOCK, SERVICE)

    async def write(self, *commands: Command[Any]) -> None:
        await self.writer().many(diary, commands)

    def relay(self) -> Relay:
        return Relay(
            router=Router(SERVICE, self.kafka.prefix, PARTITIONS, partition_of(PARTITIONS)),
            owner="relay",
            feed=MongoFeed(self.database),
            commits=MongoCommitLog(self.database),
            publisher=KafkaPublisher(self.kafka, SERVICE, PARTITIONS),
            leases=MongoLeases(self.database),
            clock=CLOCK,
            append_deadline=DEADLINE,
        )

    def plain(self, *, mended: bool = False) -> Projector:
        projection = diaries(opens=True, mended=mended)
        folder = Folder(
            projection, self._documents(projection.name), self._parking(projection.name),
            self.keyring,
        )  # fmt: skip
        return Projector(folder, self.kafka, SERVICE)

    def stepped(self) -> Projector:
        projection = self.source.stepped.projection
        documents = self._documents(projection.name)
        folder = SteppedFolder(
            projection, documents, self._parking(projection.name), None,
            source=self.source, stepped_documents=documents, clock=CLOCK, service="segment",
            append_deadline=DEADLINE,
        )  # fmt: skip
        topics = [self.kafka.topic(topic) for topic in projection.topics]
        errands = Errands(folder, topics, lambda: self.progress.of_topics(projection.topics))
        return Projector(folder, self.kafka, SERVICE, errands)

    def _documents(self, name: str) -> MongoDocuments:
        return MongoDocuments(self.database, name)

    def _parking(self, name: str) -> MongoParking:
        return MongoParking(self.database, name)

    async def documents(self, name: str) -> dict[str, dict[str, Any]]:
        found = await self.database.collection(name).find({})
        return {raw["_id"]: raw for raw in found}

    async def lag(self, group: str) -> int:
        """What the group has not committed of what progress names; -1 while there is none."""
        told = self.progress.of_topics([CUSTOMERS])
        if None in told:
            return -1
        return await group_lag(self.kafka, group, [CUSTOMERS, DEALS], told)


@pytest.fixture
async def house(kafka_url: str, kafka_prefix: str, mongo: MongoSpace) -> House:
    kafka = KafkaUrl(kafka_url, kafka_prefix)
    await ensure_topics(kafka, PARTITIONS)
    database = mongo.database(SERVICE)
    await MongoEventStore(database).create_indexes()
    return House(kafka, database)


@asynccontextmanager
async def running(house: House, *projectors: Projector, relays: bool = True) -> AsyncIterator[None]:
    """Relay, workers and the reader of progress, for as long as the block lasts."""
    works: list[Coroutine[Any, Any, None]] = [house.progress.run()]
    relay = house.relay()
    if relays:
        works.append(relay.run())
    others = [asyncio.create_task(work) for work in works]
    workers = [asyncio.create_task(projector.run()) for projector in projectors]
    try:
        yield
    finally:
        for projector in projectors:
            projector.stop()
        await asyncio.gather(*workers)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await relay.publisher.close()


async def test_what_is_written_is_read_once_by_workers_that_come_and_go(house: House) -> None:
    owners = [f"o{number}" for number in range(30)]
    await house.write(*(receive(f"r|{owner}", owner, owner.upper()) for owner in owners))
    first = house.plain()
    async with running(house, first):
        for line in range(6):
            await house.write(*(note(f"n|{o}|{line}", o, f"{line}") for o in owners))
        async with running(house, house.plain(), relays=False):
            for line in range(6, 12):
                await house.write(*(note(f"n|{o}|{line}", o, f"{line}") for o in owners))
                await asyncio.sleep(0.2)
        await eventually(lambda: _caught_up(house, first.group))
    found = await house.documents("diaries_v1")
    assert {owner: (raw["name"], raw["lines"]) for owner, raw in found.items()} == {
        owner: (owner.upper(), [f"{line}" for line in range(12)]) for owner in owners
    }


async def _caught_up(house: House, group: str) -> bool | None:
    """Whether progress has passed all commits, and the group has committed up to there."""
    newest = max(
        [commit.recorded_at async for batch in MongoCommitLog(house.database).all()
         for commit in batch],
    )  # fmt: skip
    told = house.progress.latest.get(SERVICE)
    if told is None or told.system <= newest:
        return None
    return True if await house.lag(group) == 0 else None


async def test_lag_is_what_progress_names_and_the_group_has_not_committed(house: House) -> None:
    worker = house.plain()
    async with running(house):
        await house.write(*(note(f"n|{number}", f"o{number}", "1") for number in range(25)))
        await eventually(lambda: _lag_is(house, worker.group, 25))
    async with running(house, worker):
        await eventually(lambda: _lag_is(house, worker.group, 0))


async def _lag_is(house: House, group: str, expected: int) -> bool | None:
    return True if await house.lag(group) == expected else None


async def test_time_alone_changes_a_habit_a_few_seconds_later_at_its_own_moment(
    house: House,
) -> None:
    async with running(house, house.stepped()):
        due = CLOCK.now() + timedelta(seconds=1)
        await house.write(note("n|1", "anna", f"due {show_moment(due)}"))
        await house.write(note("n|2", "ben", f"due {show_moment(due + timedelta(days=1))}"))
        await eventually(lambda: _logged(house, "anna"))
        habits_now = await house.documents("habits_v1")
        (text,) = await _events(house, "membership-anna")
    assert (habits_now["anna"]["inside"], habits_now["ben"].get("inside", False)) == (True, False)
    envelope = decode(text)
    assert envelope.time == show_moment(due)
    assert msgspec.json.decode(envelope.data)["cause"] == {"kind": "time"}


async def _events(house: House, stream: str) -> Sequence[str]:
    commits = await MongoCommitLog(house.database).since(stream, 1)
    return [text for commit in commits for text in commit.events]


async def _logged(house: House, owner: str) -> bool | None:
    return True if await _events(house, f"membership-{owner}") else None


@dataclass(frozen=True, slots=True)
class End:
    """End the import."""


def _end(_command: End, _state: None) -> Sequence[NewEvent]:
    return [NewEvent(ImportEnded(import_id="2017", facts=3), DAY)]


def _nothing(_state: None, _data: EventData) -> None:
    return None


ENDING: Decider[End, None] = Decider(lambda: None, _end, _nothing)


async def test_a_history_is_lived_when_its_import_has_ended_in_every_partition(
    house: House,
) -> None:
    owners = [f"o{number}" for number in range(12)]
    async with running(house, house.stepped()):
        await house.write(
            *(
                msgspec.structs.replace(
                    note(f"h|{owner}", owner, "1"),
                    causation=Causation(correlation="2017", history="2017"),
                )
                for owner in owners
            )
        )
        await eventually(lambda: _known(house, len(owners)))
        assert not any(raw.get("inside") for raw in (await house.documents("habits_v1")).values())
        end = Command(
            id="e", hash="e", stream="import-2017", key="2017", body=End(),
            causation=Causation(correlation="2017"),
        )  # fmt: skip
        await house.writer().one(ENDING, end)
        await eventually(lambda: _all_inside(house))
        # Life goes on behind the barrier.
        await house.write(note("n|1", owners[0], "2"))
        await eventually(lambda: _left(house, owners[0]))
    partitions = {raw["partition"] for raw in (await house.documents("habits_v1")).values()}
    assert partitions == set(range(PARTITIONS))


async def _known(house: House, count: int) -> bool | None:
    return True if len(await house.documents("habits_v1")) == count else None


async def _all_inside(house: House) -> bool | None:
    found = (await house.documents("habits_v1")).values()
    return True if all(raw.get("inside") for raw in found) else None


async def _left(house: House, owner: str) -> bool | None:
    return None if (await house.documents("habits_v1"))[owner].get("inside") else True


async def test_new_rules_reach_everybody_once_workers_take_them_up(house: House) -> None:
    async with running(house, house.stepped()):
        await house.write(*(note(f"n|{number}", f"o{number}", "1") for number in range(20)))
        await eventually(lambda: _known(house, 20))
        await eventually(lambda: _all_inside(house))
        house.source.newest = Habits(2)
        await house.source.refresh()
        await eventually(lambda: _nobody_inside(house))
    streams = [await _events(house, f"membership-o{number}") for number in range(20)]
    assert [len(events) for events in streams] == [2] * 20


async def _nobody_inside(house: House) -> bool | None:
    found = (await house.documents("habits_v1")).values()
    return None if any(raw.get("inside") for raw in found) else True


async def test_a_thousand_documents_of_one_batch_are_written_whatever_the_server(
    house: House,
) -> None:
    owners = [f"o{number}" for number in range(1_000)]
    for start in (0, 500):
        await house.write(*(note(f"n|{o}", o, "1") for o in owners[start : start + 500]))
    async with running(house):
        await eventually(lambda: _lag_is(house, "customer.habits_v1", 1_000))
    async with running(house, house.stepped()):
        await eventually(lambda: _known(house, 1_000))
        await eventually(lambda: _lag_is(house, "customer.habits_v1", 0))
    commits = [
        commit
        async for batch in MongoCommitLog(house.database).all()
        for commit in batch
        if commit.stream.startswith("membership-")
    ]
    assert len(commits) == 1_000
