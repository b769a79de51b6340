"""A new segment over a base that is there, beside reading and writing that base.

What is measured is what the owner of partitions does once it has taken up a rule set with one more
segment: errands, slice by slice, until every profile was asked. The profiles are those of a year
with twelve receipts each. Three segments: one that moves nobody, which most rules are to most
customers; one that sets a timer in each profile; and one that everybody enters. The figure is that
of the first. Bare is the driver's own reading of the same documents and replacing of each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from pymongo import ReplaceOne

from benchmarks.bare import bare_database
from benchmarks.figures import Figure
from benchmarks.measuring import Cost, Stopwatch, as_a_service
from benchmarks.place import Place
from benchmarks.sample import BEGIN, customer_id, fact_id
from services.segment.engine.profile import Profile
from services.segment.engine.reported import Recorded
from services.segment.engine.stepping import Engine
from services.segment.projections import profiles_v2
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.clock import ManualClock
from shared.envelope import Light
from shared.memory import MemoryParking
from shared.mongo import Database, MongoDocuments, connect
from shared.mongo.documents import STEPPED_INDEXES
from shared.mongo.events import MongoEventStore
from shared.progress import Progress
from shared.projection import Event, Stepped
from shared.projector import Errands, SteppedFolder

CUSTOMERS = 10_000
RECEIPTS = 12
GOAL = 50_000
YEAR = BEGIN + timedelta(days=365)
TOPIC = "customer.events.v1"
COUNT = {"kind": "receipts", "aggregate": "count"}
RULES: Mapping[str, Mapping[str, Any]] = {
    "moves_nobody": {**COUNT, "within": "P30D", "compare": {"op": ">=", "value": 30}},
    "sets_timers": {**COUNT, "within": "P399D", "compare": {"op": "<", "value": 5}},
    "moves_all": {**COUNT, "compare": {"op": ">=", "value": 1}},
}


ASKED_NOTHING = Engine(RuleSet(0, {}))


@dataclass(slots=True)
class Rules:
    """Implements `SteppedSource`: one segment more with each number."""

    number: int
    stepped: Stepped[Profile]

    async def refresh(self) -> None:
        """There is nothing newer."""


def rules_of(names: list[str]) -> Rules:
    """The rule set with these segments, defined a day apart after the year."""
    moments = [YEAR + timedelta(days=day) for day in range(len(names))]
    live = {
        name: LiveRule(1, parse_rule(dict(RULES[name])), at, f"segment-{name}@1", "benchmark")
        for name, at in zip(names, moments, strict=True)
    }
    rules = RuleSet(len(names), live, max(moments), {}, tuple(moments))
    return Rules(len(names), profiles_v2(Engine(rules)))


def profile_of(
    number: int,
    engine: Engine = ASKED_NOTHING,
    last: datetime | None = None,
    branch: str | None = None,
) -> Profile:
    """A customer of a year, a receipt a month; the last of them at the moment that is given."""
    customer = customer_id(number)
    month = timedelta(days=365) / RECEIPTS
    begin = BEGIN + timedelta(minutes=number % 40_000)
    times = [begin + month * at for at in range(RECEIPTS)]
    if last is not None:
        times[-1] = last
    profile: Profile | None = None
    for version, at in enumerate(times, start=1):
        light = Light(
            "interaction.receipt_recorded.v1", f"interaction-{customer}", version, at, at,
            msgspec.Raw(b""), customer, branch or str(number % 40),
        )  # fmt: skip
        receipt = Recorded(fact_id(number * RECEIPTS + version), 1_000 + version, 0)
        profile, _ = engine.step(profile, Event(light, receipt, 0))
    if profile is None:
        raise AssertionError
    versions = {f"interaction-{customer}": RECEIPTS}
    return msgspec.structs.replace(profile, rev=RECEIPTS, versions=versions)


def errands_of(database: Database, source: Rules) -> Errands[Profile]:
    """The errands of the owner of the one partition."""
    projection = source.stepped.projection
    documents = MongoDocuments(database, projection.name)
    clock = ManualClock(YEAR + timedelta(days=30))
    folder = SteppedFolder(
        projection, documents, MemoryParking(), None,
        source=source, stepped_documents=documents, clock=clock, service="segment",
        append_deadline=timedelta(seconds=20),
    )  # fmt: skip
    now = YEAR + timedelta(days=20)
    told = [
        Progress(topic.split(".", 1)[0], now, now, {topic: {0: 0}}) for topic in projection.topics
    ]
    return Errands(folder, projection.topics, lambda: told)


async def backfilled(database: Database, source: Rules) -> Cost:
    """What it costs to ask everybody."""
    errands = errands_of(database, source)
    watch = Stopwatch()
    while await errands.run_slice([0], {}):
        pass
    cost = watch.cost(CUSTOMERS)
    left = await errands.folder.stepped_documents.with_older_rules([0], source.number, 1)
    if left:
        message = "somebody was not asked"
        raise RuntimeError(message)
    return cost


async def bare_rewrite(place: Place, name: str) -> Cost:
    """What it costs the driver to read every document and to write it back."""
    bare = bare_database(place.mongo_url, name)
    collection = bare[profiles_v2(Engine(RuleSet(0, {}))).projection.name]
    try:
        watch = Stopwatch()
        found = await collection.find({"rules": {"$gte": 0}}, batch_size=2_000).to_list(None)
        for begin in range(0, len(found), 2_000):
            writes = [
                ReplaceOne({"_id": each["_id"], "rev": each["rev"]}, each)
                for each in found[begin : begin + 2_000]
            ]
            await collection.bulk_write(writes, ordered=False)
        return watch.cost(CUSTOMERS)
    finally:
        bare.client.close()


async def measure(place: Place) -> Figure:
    """Measure the row."""
    client = connect(place.mongo_url)
    name = f"{place.prefix}backfill"
    database = Database(client, name)
    try:
        await MongoEventStore(database).create_indexes()
        documents = MongoDocuments(database, profiles_v2(Engine(RuleSet(0, {}))).projection.name)
        await documents.create_indexes(STEPPED_INDEXES)
        for begin in range(0, CUSTOMERS, 1_000):
            made = [profile_of(number) for number in range(begin, begin + 1_000)]
            raws = [msgspec.to_builtins(each, builtin_types=(datetime, bytes)) for each in made]
            await documents.collection.motor.insert_many(raws)
        as_a_service()
        names = list(RULES)
        costs = [await backfilled(database, rules_of(names[: at + 1])) for at in range(len(names))]
        bare = await bare_rewrite(place, name)
    finally:
        client.close()
    rates = {each: cost.count / cost.cpu for each, cost in zip(names, costs, strict=True)}
    return Figure(
        value=rates["moves_nobody"],
        unit="customers per second and core of client CPU",
        bare=bare.count / bare.cpu,
        goal=f"≥ {GOAL:,}",
        met=rates["moves_nobody"] >= GOAL,
        server=place.mongo_server,
        beside={
            **{f"{each}_per_cpu_second": rate for each, rate in rates.items() if each != names[0]},
            **{
                f"{each}_per_wall_second": cost.count / cost.wall
                for each, cost in zip(names, costs, strict=True)
            },
            "customers": CUSTOMERS,
        },
    )
