"""A step of profiles with 10, 100 and 500 rules beside the same step without any.

Ours is the kernel's `SteppedFolder` with the segment engine: decode, load, live forward, write
profiles and the commits of transitions. The same batches go to every side in turn, each with
documents of its own; `REGULARS_BENCH_RULES` names other numbers of rules. Each customer comes once,
with four receipts, so that everybody's view is built anew, and what has become due since the rules
were defined is part of the step. The service that one writes first (`benchmarks/per_event.py`)
takes a part of the same events.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

from benchmarks.bare import BareDatabase, bare_database
from benchmarks.figures import Figure
from benchmarks.measuring import MICROSECONDS, Cost, Stopwatch, as_a_service, in_turn
from benchmarks.per_event import COLLECTION, PerEvent
from benchmarks.place import Place
from benchmarks.rows.projection import EVENTS, PER_CUSTOMER, records_of
from benchmarks.ruled import asked, customers, errand_rule, raw, receipt_rule, rule_set
from benchmarks.sample import LoggedEvent, ReceiptLog
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import Engine
from services.segment.projections import profiles_v2
from services.segment.rules.ruleset import RuleSet
from shared.clock import SystemClock
from shared.memory import MemoryParking
from shared.mongo import Database, MongoDocuments, connect
from shared.mongo.events import MongoEventStore
from shared.projection import Stepped
from shared.projector import SteppedFolder

COUNTS = tuple(
    int(count) for count in os.environ.get("REGULARS_BENCH_RULES", "10,100,500").split(",")
)
RULES = 500
ROUNDS = 3
PER_EVENT = 40
"""Events of a round that the service that one writes first takes; it is slow."""
TIMES = 5.0
FEWER = 20.0
UNTOUCHED = (500, 50)
UNTOUCHED_ROUNDS = 4
UNTOUCHED_TIMES = 1.05


@dataclass(slots=True)
class Rules:
    """Implements `SteppedSource`: one rule set for good."""

    number: int
    stepped: Stepped[Profile]

    async def refresh(self) -> None:
        """There is nothing newer."""


@dataclass(frozen=True, slots=True)
class RuleSide:
    """Customers who were asked these rules, and what folds their receipts."""

    database: Database
    rules: RuleSet

    async def begin(self, profiles: Sequence[Profile]) -> None:
        """Store the customers."""
        await MongoEventStore(self.database).create_indexes()
        made = [raw(each) for each in asked(profiles, Engine(self.rules))]
        await self.documents.collection.motor.insert_many(made)

    @property
    def documents(self) -> MongoDocuments:
        """The profiles."""
        return MongoDocuments(self.database, self.stepped.projection.name)

    @property
    def stepped(self) -> Stepped[Profile]:
        """What steps them."""
        return profiles_v2(Engine(self.rules))

    @property
    def folder(self) -> SteppedFolder[Profile]:
        """What folds a batch."""
        stepped = self.stepped
        return SteppedFolder(
            stepped.projection, self.documents, MemoryParking(), None,
            source=Rules(1, stepped), stepped_documents=self.documents, clock=SystemClock(),
            service="segment", append_deadline=timedelta(seconds=20),
        )  # fmt: skip

    async def count(self, field: str) -> int:
        """The sum of a number, or of how many are held in a field, over all customers."""
        found = await self.documents.collection.find({}, fields={field: 1})
        held = [each.get(field, 0) for each in found]
        return sum(each if isinstance(each, int) else len(each) for each in held)


async def folded(folder: SteppedFolder[Profile], events: Sequence[LoggedEvent]) -> Cost:
    """What a batch costs."""
    records = records_of(events)
    watch = Stopwatch()
    await folder.fold(records)
    return watch.cost(len(events))


@dataclass(slots=True)
class Measured:
    """Sides by their number of rules, and what one event costs each of them."""

    place: Place
    client: Any
    profiles: Sequence[Profile]
    sides: Mapping[int, RuleSide]

    async def run(self, bare: BareDatabase) -> tuple[Mapping[int, list[Cost]], list[Cost]]:
        """All rounds of the sides, and of the service that one writes first."""
        for side in self.sides.values():
            await side.begin(self.profiles)
        rules = self.sides[RULES].rules
        first = PerEvent(bare, [(name, live.rule) for name, live in rules.rules.items()])
        await bare[COLLECTION].insert_many(
            [raw(each) for each in asked(self.profiles, Engine(rules))]
        )
        log = ReceiptLog(len(self.profiles), PER_CUSTOMER)
        folders = {count: side.folder for count, side in self.sides.items()}
        as_a_service()
        costs: dict[int, list[Cost]] = {count: [] for count in folders}
        slow: list[Cost] = []
        for number in range(1 + ROUNDS):
            events = log.take(EVENTS)
            turn = list(folders) if number % 2 else list(reversed(folders))
            for count in turn:
                costs[count].append(await folded(folders[count], events))
            watch = Stopwatch()
            for event in events[:PER_EVENT]:
                await first.handle(event)
            slow.append(watch.cost(PER_EVENT))
        return {count: each[1:] for count, each in costs.items()}, slow[1:]


def each_of(costs: Sequence[Cost]) -> float:
    """Microseconds of CPU for an event."""
    return median(cost.cpu / cost.count for cost in costs) * MICROSECONDS


async def measure(place: Place) -> dict[str, Figure]:
    """Measure both rows."""
    client = connect(place.mongo_url)
    bare = bare_database(place.mongo_url, f"{place.prefix}rules-per-event")
    try:
        return {
            "projection_500_rules": await with_rules(place, client, bare),
            "untouched_rules": await untouched(place, client),
        }
    finally:
        client.close()
        bare.client.close()


async def with_rules(place: Place, client: Any, bare: BareDatabase) -> Figure:  # noqa: ANN401 - the driver's client
    """What rules over receipts cost."""
    profiles = customers((1 + ROUNDS) * EVENTS // PER_CUSTOMER)
    sets, seconds = {}, {}
    for count in sorted({0, RULES, *COUNTS}):
        began = time.process_time()
        sets[count] = rule_set(count, receipt_rule)
        seconds[count] = time.process_time() - began
    sides = {
        count: RuleSide(Database(client, f"{place.prefix}rules-{count}"), rules)
        for count, rules in sets.items()
    }
    costs, slow = await Measured(place, client, profiles, sides).run(bare)
    before = sum(len(each.memberships) for each in asked(profiles, Engine(sets[RULES])))
    moved = await sides[RULES].count("transitions") - before
    none, many = each_of(costs[0]), each_of(costs[RULES])
    ratio, fewer = many / none, each_of(slow) / many
    return Figure(
        value=many,
        unit=f"µs of client CPU per event, {RULES} rules over receipts",
        bare=none,
        goal=f"≤ {TIMES:g} × without rules; ≥ {FEWER:g} × less than per event",
        met=ratio <= TIMES and fewer >= FEWER,
        server=place.mongo_server,
        beside={
            "ratio": ratio,
            "per_event": each_of(slow),
            "per_event_ratio": fewer,
            **{f"with_{count}_rules": each_of(each) for count, each in costs.items()},
            "transitions_per_event": moved / ((1 + ROUNDS) * EVENTS),
            "seconds_to_write_out": seconds[RULES],
            "events_per_second": median(cost.count / cost.wall for cost in costs[RULES]),
            "events_per_second_without_rules": median(cost.count / cost.wall for cost in costs[0]),
            "per_event_per_second": median(cost.count / cost.wall for cost in slow),
        },
    )


async def untouched(place: Place, client: Any) -> Figure:  # noqa: ANN401 - the driver's client
    """What rules over tasks and deals cost while receipts come."""
    profiles = customers((1 + UNTOUCHED_ROUNDS) * EVENTS // PER_CUSTOMER)
    folders = []
    for count in UNTOUCHED:
        database = Database(client, f"{place.prefix}untouched-{count}")
        side = RuleSide(database, rule_set(count, errand_rule))
        await side.begin(profiles)
        folders.append(side.folder)
    log = ReceiptLog(len(profiles), PER_CUSTOMER)
    rounds = [log.take(EVENTS) for _ in range(1 + UNTOUCHED_ROUNDS)]
    as_a_service()
    many, few = await in_turn(
        UNTOUCHED_ROUNDS,
        lambda number: folded(folders[0], rounds[number]),
        lambda number: folded(folders[1], rounds[number]),
    )
    ratio = many.cpu_each / few.cpu_each
    return Figure(
        value=many.cpu_each,
        unit=f"µs of client CPU per receipt, {UNTOUCHED[0]} rules over tasks and deals",
        bare=few.cpu_each,
        goal=f"≤ {UNTOUCHED_TIMES:g} × {UNTOUCHED[1]} of them",
        met=ratio <= UNTOUCHED_TIMES,
        server=place.mongo_server,
        beside={
            "ratio": ratio,
            "events_per_second": many.per_wall_second,
            "events_per_second_of_few": few.per_wall_second,
        },
    )
