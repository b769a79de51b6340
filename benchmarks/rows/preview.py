"""A preview over the base, from the question to the exact count, beside reading the same profiles.

What is measured is what the endpoint streams: a first line at once, a line per slice, the exact one
at the end; with the counts at the beginnings of twelve months, so that every customer's year is
lived. Bare reads and decodes the same documents by one cursor, and does nothing more.
`REGULARS_BENCH_PREVIEW` is how many customers there are: copies of 500, under ids of their own.
"""

import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.bare import BareDatabase, bare_database
from benchmarks.figures import Figure
from benchmarks.measuring import Cost, Stopwatch, as_a_service
from benchmarks.place import Place
from benchmarks.ruled import DEFINED, YEAR, customers, raw
from benchmarks.sample import customer_id
from services.segment.api.previewing import SLICE, PreviewApi
from services.segment.api.speaking import Speech
from services.segment.engine.profile import Profile
from services.segment.queries.definitions import Definitions
from services.segment.queries.profiles import Profiles
from services.segment.queries.rules import PresentRules
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import NO_RULES, RuleSet
from shared.clock import ManualClock
from shared.execute import Writer
from shared.keyring import Keyring
from shared.memory import MemoryKeyStore
from shared.mongo import Database, MongoDocuments, MongoEventStore, connect

CUSTOMERS = int(os.environ.get("REGULARS_BENCH_PREVIEW", "20000"))
DISTINCT = 500
RECEIPTS = 12
COLLECTION = "previewed"
RULE = {
    "kind": "all",
    "clauses": [
        {
            "kind": "receipts",
            "aggregate": "count",
            "within": "P90D",
            "compare": {"op": ">=", "value": 3},
        },
        {"kind": "consent", "topic": "news", "channel": "email"},
    ],
}


@dataclass(frozen=True, slots=True)
class Told:
    """A preview that was streamed: seconds until its first line, lines, and the last one."""

    first: float
    lines: int
    last: dict[str, Any]


async def fill(bare: BareDatabase) -> None:
    """Put the base in."""
    made = [raw(each) for each in customers(DISTINCT, RECEIPTS)]
    for begin in range(0, CUSTOMERS, 2_000):
        ids = range(begin, min(begin + 2_000, CUSTOMERS))
        copies = [{**made[number % DISTINCT], "_id": customer_id(number)} for number in ids]
        await bare[COLLECTION].insert_many(copies, ordered=False)


def lines_of(database: Database) -> AsyncIterator[str]:
    """What the endpoint streams for the rule."""

    async def none() -> RuleSet:
        return NO_RULES

    clock, keyring = ManualClock(DEFINED), Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
    api = PreviewApi(
        definitions=Definitions(Writer(MongoEventStore(database), keyring, clock, "segment")),
        profiles=Profiles(MongoDocuments(database, COLLECTION).collection),
        rules=PresentRules(none),
        speech=Speech.read(),
        clock=clock,
        horizon=YEAR + timedelta(days=35),
        zone=UTC,
    )
    return api._lines(parse_rule(RULE), "", [])  # noqa: SLF001 - the endpoint, without HTTP


async def previewed(database: Database) -> tuple[Cost, Told]:
    """One preview."""
    watch, began = Stopwatch(), time.perf_counter()
    first, lines, last = 0.0, 0, ""
    async for line in lines_of(database):
        first = first or time.perf_counter() - began
        lines, last = lines + 1, line
    return watch.cost(CUSTOMERS), Told(first, lines, msgspec.json.decode(last))


async def bare_scan(bare: BareDatabase) -> Cost:
    """Every profile read and decoded."""
    watch = Stopwatch()
    cursor = bare[COLLECTION].find({}, sort=[("_id", 1)], batch_size=SLICE)
    while found := await cursor.to_list(SLICE):
        _ = [msgspec.convert(each, Profile) for each in found]
    return watch.cost(CUSTOMERS)


async def measure(place: Place) -> Figure:
    """Measure the row."""
    client = connect(place.mongo_url)
    name = f"{place.prefix}preview"
    bare = bare_database(place.mongo_url, name)
    try:
        await fill(bare)
        as_a_service()
        cost, told = await previewed(Database(client, name))
        scan = await bare_scan(bare)
    finally:
        client.close()
        bare.client.close()
    seen = told.last["done"]
    if seen != CUSTOMERS or not told.last["exact"]:
        message = f"{seen} of {CUSTOMERS} were looked at"
        raise RuntimeError(message)
    return Figure(
        value=cost.count / cost.cpu,
        unit=f"customers per second and core of client CPU, {CUSTOMERS:,} customers",
        bare=scan.count / scan.cpu,
        goal="none",
        met=True,
        server=place.mongo_server,
        beside={
            "seconds_until_the_first_line": told.first,
            "seconds_until_exact": cost.wall,
            "lines": told.lines,
            "members": told.last["count"],
            "bare_seconds": scan.wall,
            "ratio": (cost.cpu / cost.count) / (scan.cpu / scan.count),
        },
    )
