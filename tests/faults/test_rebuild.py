"""Rules that look back further than profiles keep, while workers fall asleep, die and change hands.

A town that keeps two minutes of facts is told, half way through, to look back for much longer. What
comes of it is what comes of a town that never forgot anything.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from services.segment.consumers.rebuilding import BringingBack, Rebuilding, Unhurried
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import HORIZON, Engine
from services.segment.handlers.rebuilding import NOTE, Rebuilds
from services.segment.projections import profiles_v2
from services.segment.queries.brake import Base
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.kafka import KafkaUrl
from shared.memory import MemoryDocuments, MemoryParking
from shared.projection import Projection, Stepped
from shared.projector import Errands, SteppedFolder
from shared.testing import DAY
from shared.testing.collections import MemoryQuestions
from shared.testing.memory_consumer import MemoryGroup, MemoryProjector
from shared.testing.virtual_time import at_once, ended
from tests.faults.shopping import LIFE_BEGINS, RULES, RULES_CHANGE, Script, rules_of, script_of
from tests.faults.test_pauses import LONG, READ, Book, Town, Transitions

SEEDS = range(20 if os.environ.get(LONG) else 1)
KEPT = timedelta(minutes=2)
OVER = 560.0
"""Nothing is due any more: what comes last leaves the longest window, of five minutes."""
_COUNT = {"kind": "receipts", "aggregate": "count"}
FAR: Mapping[str, dict[str, Any]] = {
    "couponed": {**_COUNT, "where": {"coupon": True}, "compare": {"op": ">=", "value": 1}},
    "loyal": {**_COUNT, "within": "P1D", "compare": {"op": ">=", "value": 6}},
    "lately": {**_COUNT, "within": "PT5M", "compare": {"op": "<=", "value": 3}},
    "once_big": {
        "kind": "receipts", "aggregate": "max", "compare": {"op": ">=", "value": 5_000},
        "between": {"from": "2017-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"},
    },
    "both": {"kind": "all", "clauses": [
        {"kind": "segment", "segment": "couponed"}, {"kind": "segment", "segment": "once"},
    ]},
}  # fmt: skip


def rules(number: int) -> RuleSet:
    """1 is what the town begins with; 2 looks back further, half way through."""
    begin = rules_of(1)
    if number == 1:
        return begin
    at = DAY + timedelta(seconds=RULES_CHANGE[2])
    far = {name: LiveRule(1, parse_rule(rule), at, f"segment-{name}@1", name)
           for name, rule in FAR.items()}  # fmt: skip
    return RuleSet(2, {**begin.rules, **far}, at, moments=(*begin.moments, at))


@dataclass(slots=True)
class Reader:
    """Implements `SteppedSource` and `Live` by what a worker has read out of the book."""

    book: Book
    horizon: timedelta
    number: int = 1
    _engines: dict[int, tuple[Engine, Stepped[Profile]]] = field(default_factory=dict)

    @property
    def engine(self) -> Engine:
        return self._present[0]

    @property
    def stepped(self) -> Stepped[Profile]:
        return self._present[1]

    @property
    def _present(self) -> tuple[Engine, Stepped[Profile]]:
        if self.number not in self._engines:
            engine = Engine(rules(self.number), self.horizon)
            self._engines[self.number] = (engine, profiles_v2(engine))
        return self._engines[self.number]

    async def refresh(self) -> None:
        self.number = self.book.newest


@dataclass(slots=True)
class Shelves:
    """Implements `Generations` in memory, shared by all workers."""

    town: Town
    shelves: dict[str, MemoryDocuments] = field(default_factory=dict)
    groups: dict[str, MemoryGroup] = field(default_factory=dict)

    def documents(self, name: str) -> MemoryDocuments:
        return self.shelves.setdefault(name, MemoryDocuments())

    async def projector(self, projection: Projection[Profile]) -> MemoryProjector:
        folder = Unhurried(projection, self.documents(projection.name), MemoryParking(), None)
        worker = MemoryProjector(folder, KafkaUrl("", ""), "segment")
        town = self.town
        group = MemoryGroup(town.kafka, town.random, town.random.choice([3, 40]))
        worker.join(self.groups.setdefault(projection.name, group))
        return worker

    async def drop(self, name: str) -> None:
        await self.documents(name).drop()


@dataclass(slots=True)
class DeepTown(Town):
    """The town, whose workers keep `kept` and fold anew what they lack; they die now and then."""

    kept: timedelta = HORIZON
    notes: MemoryDocuments = field(default_factory=MemoryDocuments)
    shelves: Shelves = field(init=False)
    living: list[list["asyncio.Task[None]"]] = field(default_factory=list)
    deaths: int = 0
    lacked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        Town.__post_init__(self)
        self.shelves = Shelves(self)

    def life(self) -> list["asyncio.Task[None]"]:
        """A worker with all that it does."""
        source = Reader(self.book, self.kept)
        folder = SteppedFolder(
            source.stepped.projection, self.documents, self.parking, None,
            source=source, stepped_documents=self.documents, clock=self.clock,
            service="segment", append_deadline=timedelta(seconds=2),
        )  # fmt: skip
        base = Base(MemoryQuestions(self.documents))
        rebuilding = Rebuilding(Rebuilds(self.notes, base), self.shelves, source, self.clock)
        beside = BringingBack(folder, source, lambda: rebuilding.rebuild, self.shelves.documents)
        errands = Errands(folder, READ, self._told, beside.run_slice)
        worker = MemoryProjector(folder, KafkaUrl("", ""), "segment", errands)
        worker.join(self.group)
        work = (worker.run(), rebuilding.run(), self._renew_source(source))
        return [asyncio.create_task(each) for each in work]

    async def live(self) -> None:
        """Live the script to the end, until nothing is due any more."""
        relays = [asyncio.create_task(self.relay(name).run()) for name in self.stores]
        self.living = [self.life() for _ in range(2 if self.chaos else 1)]
        playing = [asyncio.create_task(self._play()), asyncio.create_task(self._redefine(2))]
        await asyncio.sleep(LIFE_BEGINS - 1)
        if self.chaos:
            playing += [
                asyncio.create_task(self._change_hands()), asyncio.create_task(self._kill())
            ]  # fmt: skip
        playing.append(asyncio.create_task(self._watch()))
        await asyncio.sleep(OVER - LIFE_BEGINS)
        assert await self.parking.count() == 0
        await ended([*playing, *relays, *(task for tasks in self.living for task in tasks)])

    async def _renew_source(self, source: Reader) -> None:
        while True:
            await asyncio.sleep(self.random.uniform(0, 5) if self.chaos else 1)
            await source.refresh()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.lacked |= {raw["_id"] for raw in self.documents.everything() if raw.get("lacks")}

    async def _kill(self) -> None:
        """End a worker wherever it is, without a word; another one comes."""
        await asyncio.sleep(RULES_CHANGE[2] - LIFE_BEGINS)
        while self.deaths < 12:
            await asyncio.sleep(self.random.uniform(0.1, 6))
            await ended(self.living.pop(self.random.randrange(len(self.living))))
            self.deaths += 1
            self.living.append(self.life())
        await asyncio.Event().wait()


def lived(script: Script, seed: int | None, kept: timedelta) -> DeepTown:
    async def live() -> DeepTown:
        town = DeepTown(script, Random(seed or 0), seed is not None, in_order=True, kept=kept)
        await town.live()
        return town

    return at_once(live())


def of_near(transitions: Transitions) -> dict[str, list[tuple[str, ...]]]:
    """What was logged of rules that never lacked anything."""
    found = {
        stream: [line for line in lines if line[1] in RULES]
        for stream, lines in transitions.items()
    }
    return {stream: lines for stream, lines in found.items() if lines}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_brought_back_is_as_if_it_had_never_been_let_go(seed: int) -> None:
    script = at_once(script_of(300 + seed))
    whole = lived(script, None, HORIZON)
    assert not whole.lacked
    forgetful = lived(script, seed, KEPT)
    # They have a past of more than two minutes.
    assert len(forgetful.lacked) >= 4
    assert forgetful.deaths == 12
    assert forgetful.memberships() == whole.memberships()
    assert {name for names in whole.memberships().values() for name in names} >= set(FAR) - {"both"}
    # Rules that look back two minutes were never asked late, and never wrong.
    assert of_near(forgetful.transitions()) == of_near(whole.transitions())
    _has_ended(forgetful)


def _has_ended(town: DeepTown) -> None:
    """Nobody lacks anything, and nothing is left of what was folded anew."""
    assert not any(raw.get("lacks") for raw in town.documents.everything())
    (note,) = town.notes.everything()
    assert (note["_id"], note["active"]) == (NOTE, False)
    assert not any(each.everything() for each in town.shelves.shelves.values())
