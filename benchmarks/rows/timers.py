"""Very many timers due at one moment, while receipts come in.

One owner of one partition, with all its parts but Kafka: a batch of receipts of others is folded,
then a slice of errands takes its share, as in the product's loop. What a receipt waits is such a
turn; it is measured with nothing due, and again with the flood. Of the timers that are left then
some are woken without receipts in between, as in a quiet hour, for a few seconds. Whoever is due is
one of 200 customers under an id of their own. `REGULARS_BENCH_TIMERS` is how many there are: the
product is held to a million, which with `REGULARS_BENCH_SECONDS=900` is a run of its own.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from statistics import median, quantiles

import msgspec

from benchmarks.figures import Figure
from benchmarks.measuring import as_a_service
from benchmarks.place import Place
from benchmarks.rows.backfill import TOPIC, Rules, errands_of, profile_of
from benchmarks.rows.projection import records_of
from benchmarks.sample import BEGIN, ReceiptLog, customer_id
from services.segment.engine.profile import Profile
from services.segment.engine.stepping import Engine
from services.segment.projections import profiles_v2
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.mongo import Database, MongoDocuments, connect
from shared.mongo.documents import STEPPED_INDEXES
from shared.mongo.events import MongoEventStore
from shared.projector import Errands
from shared.projector.loop import ERRANDS_SHARE
from shared.readmodel import RawDocument

TIMERS = int(os.environ.get("REGULARS_BENCH_TIMERS", "100000"))
OTHERS = 2_000
BATCH = 200
TURNS = 40
TIMES = 2.0
DISTINCT = 200
AT_ONCE = 2_000
EBB_SECONDS = 10.0
DUE = BEGIN + timedelta(days=366)
BRANCH = "flood"
"""Where everybody of the flood buys, and nobody else: receipts of others set no timer."""
RULE = {
    "kind": "receipts",
    "aggregate": "count",
    "within": "P30D",
    "where": {"branch": [BRANCH]},
    "compare": {"op": ">=", "value": 1},
}


def rule_set() -> RuleSet:
    """One segment that everybody of the flood leaves at one moment."""
    live = LiveRule(1, parse_rule(RULE), BEGIN, "segment-recent@1", "benchmark")
    return RuleSet(1, {"recent": live}, BEGIN, {}, (BEGIN,))


def due_profile(number: int, engine: Engine) -> Profile:
    """A customer whose last receipt leaves the window with everybody else's."""
    return profile_of(number, engine, DUE - timedelta(days=30), BRANCH)


def copy_of(raw: RawDocument, number: int) -> RawDocument:
    """The same customer under another id."""
    customer = customer_id(number)
    (version,) = raw["versions"].values()
    return {**raw, "_id": customer, "versions": {f"interaction-{customer}": version}}


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds of turns, in the order in which they were taken; `woken` were in them."""

    turns: Sequence[float]
    woken: int

    @property
    def p50(self) -> float:
        """The median."""
        return median(self.turns)

    @property
    def p95(self) -> float:
        """Nineteen of twenty are not longer."""
        return quantiles(self.turns, n=20)[-1]


@dataclass(slots=True)
class Flood:
    """The owner of a partition; `timers` customers are due at once, when they are put in."""

    database: Database
    timers: int
    log: ReceiptLog = field(default_factory=lambda: ReceiptLog(OTHERS, 1))
    errands: Errands[Profile] = field(init=False)
    _offset: int = 0

    def __post_init__(self) -> None:
        self.errands = errands_of(self.database, Rules(1, profiles_v2(Engine(rule_set()))))

    @property
    def documents(self) -> MongoDocuments:
        """The profiles."""
        return MongoDocuments(self.database, self.errands.folder.projection.name)

    async def begin(self) -> None:
        """Indexes, and a receipt of everybody who goes on buying."""
        await MongoEventStore(self.database).create_indexes()
        await self.documents.create_indexes(STEPPED_INDEXES)
        while self._offset < OTHERS:
            await self._batch()

    async def rise(self) -> None:
        """Let everybody of the flood be due."""
        engine = Engine(rule_set())
        distinct = [
            msgspec.to_builtins(due_profile(number, engine), builtin_types=(datetime, bytes))
            for number in range(DISTINCT)
        ]
        for begin in range(0, self.timers, AT_ONCE):
            numbers = range(begin, min(begin + AT_ONCE, self.timers))
            copies = [copy_of(distinct[number % DISTINCT], OTHERS + number) for number in numbers]
            await self.documents.collection.motor.insert_many(copies, ordered=False)

    async def flow(self, turns: int) -> Waits:
        """So many turns of receipts and errands."""
        before = await self.left()
        seconds = []
        for _ in range(turns):
            began = time.perf_counter()
            await self._batch()
            # The rest between two looks is for a loop with nothing to do.
            self.errands._not_before = 0.0  # noqa: SLF001 - as if it were over
            share = (time.perf_counter() - began) * ERRANDS_SHARE
            await self.errands.run_slice([0], {(TOPIC, 0): 0}, share)
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(0)
        return Waits(seconds, before - await self.left())

    async def ebb(self, seconds: float = inf) -> float:
        """Wake those that are left, for so long at most; gives how many a second."""
        left, began = await self.left(), time.perf_counter()
        self.errands._not_before = 0.0  # noqa: SLF001 - as above
        while await self.errands.run_slice([0], {(TOPIC, 0): 0}):
            if time.perf_counter() - began > seconds:
                break
        taken = time.perf_counter() - began
        return (left - await self.left()) / taken

    async def left(self) -> int:
        """How many are due and not woken."""
        return await self.documents.collection.count({"due_at": DUE})

    async def _batch(self) -> None:
        records = records_of(self.log.take(BATCH), self._offset)
        self._offset += BATCH
        await self.errands.folder.fold(records)


async def measure(place: Place) -> Figure:
    """Measure the row."""
    client = connect(place.mongo_url)
    try:
        flood = Flood(Database(client, f"{place.prefix}timers"), TIMERS)
        await flood.begin()
        as_a_service()
        await flood.flow(5)
        calm = await flood.flow(TURNS)
        await flood.rise()
        high = await flood.flow(TURNS)
        rate = await flood.ebb(EBB_SECONDS)
    finally:
        client.close()
    ratio = high.p50 / calm.p50
    return Figure(
        value=high.p50 * 1_000,
        unit=f"ms that a batch of {BATCH} receipts takes, {TIMERS:,} timers due at once (p50)",
        bare=calm.p50 * 1_000,
        goal=f"≤ {TIMES:g} × without them",
        met=ratio <= TIMES and not high.woken < TURNS,
        server=place.mongo_server,
        beside={
            "ratio": ratio,
            "ratio_p95": high.p95 / calm.p95,
            "woken_per_second_beside_receipts": high.woken / sum(high.turns),
            "woken_per_second_alone": rate,
        },
    )
