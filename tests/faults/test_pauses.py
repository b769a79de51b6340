"""One log, read with workers and relays that stop and go as they please.

The same order across topics gives the same transitions, whatever the pauses, batches and hands that
the partitions go through; another order gives the same memberships in the end.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import msgspec
import pytest

from services.segment.engine.profile import Profile
from services.segment.engine.stepping import Engine
from services.segment.projections import profiles_v2
from shared.envelope import decode
from shared.events import TOPICS
from shared.events.contract import show_moment
from shared.eventstore import Append, Commit
from shared.kafka import KafkaUrl, partition_of
from shared.memory import MemoryDocuments, MemoryEventStore, MemoryLeases, MemoryParking
from shared.progress import Progress
from shared.projection import Stepped
from shared.projector import Errands, SteppedFolder
from shared.readmodel import RawDocument
from shared.relay import Relay
from shared.relay.records import Router
from shared.testing import DAY
from shared.testing.memory_consumer import MemoryGroup, MemoryProjector
from shared.testing.memory_kafka import MemoryCommitLog, MemoryFeed, MemoryKafka, MemoryPublisher
from shared.testing.virtual_time import LoopClock, at_once, ended
from tests.faults.shopping import (
    HELD,
    IMPORT_ENDS,
    LIFE_BEGINS,
    QUIET,
    RULES_CHANGE,
    Script,
    rules_of,
    script_of,
)

LONG = "REGULARS_LONG_TESTS"
SEEDS = range(40 if os.environ.get(LONG) else 3)
PARTITIONS = 3
PUBLISHERS = ("customer", "interaction", "notify")
READ = tuple(TOPICS[service][0] for service in PUBLISHERS)
Transitions = Mapping[str, Sequence[tuple[str, ...]]]
Memberships = Mapping[str, Sequence[str]]


@dataclass(slots=True)
class Pauses:
    """Now and then whoever comes by falls asleep; never without `longest`."""

    random: Random
    longest: float = 0.0
    often: float = 0.1

    async def at(self, _step: str) -> None:
        if self.longest and self.random.random() < self.often:
            await asyncio.sleep(self.random.uniform(0, self.longest))


@dataclass(slots=True)
class SleepyDocuments(MemoryDocuments):
    """Documents behind a connection that falls asleep."""

    pauses: Pauses = field(kw_only=True)

    async def load(self, ids: Sequence[str]) -> Mapping[str, RawDocument]:
        await self.pauses.at("load")
        return await MemoryDocuments.load(self, ids)

    async def write_stepped(self, steps: Sequence[tuple[RawDocument, Commit | None]]) -> set[str]:
        await self.pauses.at("write")
        return await MemoryDocuments.write_stepped(self, steps)


@dataclass(slots=True)
class Book:
    """The number of the newest rules that there are."""

    newest: int = 1


@dataclass(slots=True)
class Rules:
    """Implements `SteppedSource` by rules that a worker has read out of the book."""

    book: Book
    number: int = 1

    @property
    def stepped(self) -> Stepped[Profile]:
        return _STEPPINGS[self.number]

    async def refresh(self) -> None:
        self.number = self.book.newest


_STEPPINGS = {number: profiles_v2(Engine(rules_of(number))) for number in (1, 2, 3, 4)}


@dataclass(slots=True)
class Town:
    """Three services that publish, and the workers of one that decides who is in which segment.

    Without `chaos` nobody ever pauses, and there is one worker.
    """

    script: Script
    random: Random
    chaos: bool
    in_order: bool
    kafka: MemoryKafka = field(init=False)
    group: MemoryGroup = field(init=False)
    documents: SleepyDocuments = field(init=False)
    parking: MemoryParking = field(default_factory=MemoryParking)
    stores: Mapping[str, MemoryEventStore] = field(init=False)
    clock: LoopClock = field(default_factory=LoopClock)
    book: Book = field(default_factory=Book)
    sources: list[Rules] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kafka = MemoryKafka(self.clock, PARTITIONS)
        order = _order(self.script) if self.in_order else {}
        largest = self.random.choice([1, 3, 40]) if self.chaos else 2_000
        self.group = MemoryGroup(self.kafka, self.random, largest, order)
        # An append may not take two seconds, or it is tried again.
        self.documents = SleepyDocuments(pauses=self._pauses(2.2))
        self.stores = {service: MemoryEventStore() for service in PUBLISHERS}

    def _pauses(self, longest: float) -> Pauses:
        return Pauses(self.random, longest if self.chaos else 0.0)

    def relay(self, service: str) -> Relay:
        store, topics = self.stores[service], TOPICS[service]
        # Up to eight seconds: longer than its lease, which then has to be taken anew.
        return Relay(
            router=Router(service, "", PARTITIONS, partition_of(PARTITIONS)),
            owner=f"{service}-{self.random.random()}",
            feed=MemoryFeed(store, self.random.choice([5, 500]), at=self._pauses(8).at),
            commits=MemoryCommitLog(store),
            publisher=MemoryPublisher(self.kafka, topics, at=self._pauses(8).at),
            leases=MemoryLeases(self.clock),
            clock=self.clock,
            append_deadline=timedelta(seconds=2),
        )

    def worker(self) -> MemoryProjector:
        source = Rules(self.book)
        self.sources.append(source)
        folder = SteppedFolder(
            source.stepped.projection, self.documents, self.parking, None,
            source=source, stepped_documents=self.documents, clock=self.clock,
            service="segment", append_deadline=timedelta(seconds=2),
        )  # fmt: skip
        errands = Errands(folder, READ, self._told)
        worker = MemoryProjector(folder, KafkaUrl("", ""), "segment", errands)
        worker.join(self.group)
        return worker

    def _told(self) -> list[Progress | None]:
        return [self.kafka.newest.get(service) for service in PUBLISHERS]

    async def run(self, *, rules: int) -> None:
        """Live the script to the end, until nothing is due any more; `rules` are the last ones."""
        tasks = [
            *(asyncio.create_task(self.relay(service).run()) for service in PUBLISHERS),
            *(asyncio.create_task(self.worker().run()) for _ in range(2 if self.chaos else 1)),
            asyncio.create_task(self._play()),
        ]
        if self.chaos:
            tasks.append(asyncio.create_task(self._change_hands()))
        await asyncio.sleep(LIFE_BEGINS - 1)
        assert not any(raw.get("history") for raw in self.documents.everything())
        tasks += [asyncio.create_task(self._renew(source)) for source in self.sources]
        tasks.append(asyncio.create_task(self._redefine(rules)))
        now = (self.clock.now() - self.clock.began).total_seconds()
        await asyncio.sleep(QUIET - now)
        assert await self.parking.count() == 0
        await ended(tasks)

    async def _redefine(self, rules: int) -> None:
        for number in range(2, rules + 1):
            now = (self.clock.now() - self.clock.began).total_seconds()
            await asyncio.sleep(RULES_CHANGE[number] - now)
            self.book.newest = number
        await asyncio.Event().wait()

    async def _renew(self, source: Rules) -> None:
        """Let a worker look for new rules: some look at once, some are late and miss a set."""
        while True:
            await asyncio.sleep(self.random.uniform(0, 30) if self.chaos else 1)
            await source.refresh()

    async def _play(self) -> None:
        for scene in self.script:
            now = (self.clock.now() - self.clock.began).total_seconds()
            await asyncio.sleep(max(0.0, scene.at - now))
            assert self.stores[scene.service].append_now(Append(scene.commit))
        await asyncio.Event().wait()

    async def _change_hands(self) -> None:
        while True:
            await asyncio.sleep(self.random.uniform(1, 25))
            self.group.turn()

    def transitions(self) -> Transitions:
        """Per customer what was logged, with moments and causes."""
        found: dict[str, list[tuple[str, ...]]] = {}
        for commit in self.documents.commits.commits:
            for text in commit.events:
                envelope = decode(text)
                data = msgspec.json.decode(envelope.data)
                cause = data["cause"]
                line = (envelope.type, data["segment"], envelope.time, cause["kind"])
                found.setdefault(envelope.stream, []).append((*line, cause.get("event", "")))
        return found

    def memberships(self) -> Memberships:
        """Per customer the segments, in the end."""
        return {raw["_id"]: sorted(raw["memberships"]) for raw in self.documents.everything()}


def _order(script: Script) -> dict[int, list[str]]:
    """Per partition the ids of its events as they were recorded."""
    place = partition_of(PARTITIONS)
    order: dict[int, list[str]] = {partition: [] for partition in range(PARTITIONS)}
    for scene in script:
        commit = scene.commit
        key = place(commit.key.encode())
        for partition in range(PARTITIONS) if commit.broadcast else (key,):
            order[partition] += [decode(text).id for text in commit.events]
    return order


def lived(script: Script, seed: int | None, *, in_order: bool, rules: int) -> Town:
    """The town after the script; without a seed it was lived straight."""

    async def live() -> Town:
        town = Town(script, Random(seed or 0), seed is not None, in_order)
        await town.run(rules=rules)
        return town

    return at_once(live())


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_order_gives_the_same_transitions_at_any_speed(seed: int) -> None:
    script = at_once(script_of(seed))
    straight = lived(script, None, in_order=True, rules=1)
    transitions = straight.transitions()
    # The script is worth its while: a past was lived, time passed, and events decided.
    kinds = {line[3] for lines in transitions.values() for line in lines}
    assert kinds == {"history", "time", "event"}
    assert sum(map(len, transitions.values())) > 150
    again = lived(script, seed, in_order=True, rules=1)
    assert again.transitions() == transitions
    assert again.memberships() == straight.memberships()


@pytest.mark.parametrize("seed", SEEDS)
def test_any_order_gives_the_same_memberships_in_the_end(seed: int) -> None:
    script = at_once(script_of(100 + seed))
    straight = lived(script, None, in_order=True, rules=2)
    memberships = straight.memberships()
    assert {name for names in memberships.values() for name in names} >= {"lapsed", "frequent"}
    again = lived(script, seed, in_order=False, rules=2)
    assert again.memberships() == memberships
    for town in (straight, again):
        assert _inside(town.transitions()) == {
            f"membership-{customer}": names for customer, names in memberships.items() if names
        }


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_held_and_released_on_the_way_ends_the_same_whoever_learns_of_it_when(
    seed: int,
) -> None:
    script = at_once(script_of(200 + seed))
    straight = lived(script, None, in_order=True, rules=4)
    memberships = straight.memberships()
    # The one that is held is worth holding: somebody moves while it stands still.
    lines = [line for each in straight.transitions().values() for line in each if line[1] == HELD]
    held, released = (_second(RULES_CHANGE[number]) for number in (3, 4))
    assert any(line[2] < held for line in lines)
    assert not any(held <= line[2] < released for line in lines)
    assert any(line[2] == released and line[3] == "definition" for line in lines)
    again = lived(script, seed, in_order=False, rules=4)
    assert again.memberships() == memberships
    for town in (straight, again):
        assert _inside(town.transitions()) == {
            f"membership-{customer}": names for customer, names in memberships.items() if names
        }


def _second(seconds: float) -> str:
    return show_moment(DAY + timedelta(seconds=seconds))


def _inside(transitions: Transitions) -> dict[str, list[str]]:
    """Who is in what, by the log alone; fails where entering and leaving do not take turns."""
    inside: dict[str, set[str]] = {}
    for stream, lines in transitions.items():
        names = inside.setdefault(stream, set())
        for kind, name, *_ in lines:
            entering = kind == "segment.entered.v1"
            assert (name in names) is not entering
            names.symmetric_difference_update({name})
    return {stream: sorted(names) for stream, names in inside.items() if names}


def test_the_import_ends_long_before_life_goes_on() -> None:
    # Workers and relays that sleep for up to eight seconds must have lived the past by then.
    assert LIFE_BEGINS - IMPORT_ENDS >= 80
