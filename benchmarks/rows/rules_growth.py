"""A step of profiles with rules over few customers beside the same step over twenty times as many.

As `growth`, for the profiles that decide: batches are alike in both, and so are the customers whom
they touch, each once and with four receipts. The many are copies of the few, under ids of their
own. `REGULARS_BENCH_GROWTH` is how many the few are.
"""

import os
from collections.abc import Sequence

from benchmarks.figures import Figure
from benchmarks.measuring import Cost, as_a_service, in_turn
from benchmarks.place import Place
from benchmarks.rows.projection import EVENTS, PER_CUSTOMER
from benchmarks.rows.rules import RuleSide, folded
from benchmarks.ruled import asked, customers, raw, rule_set
from benchmarks.sample import ReceiptLog, customer_id
from services.segment.engine.stepping import Engine
from shared.mongo import Database, connect
from shared.mongo.documents import STEPPED_INDEXES
from shared.mongo.events import MongoEventStore
from shared.readmodel import RawDocument

TIMES = 20
RULES = 100
ROUNDS = 4
CUSTOMERS = int(os.environ.get("REGULARS_BENCH_GROWTH", str((1 + ROUNDS) * EVENTS // PER_CUSTOMER)))
AT_ONCE = 2_000
LIMIT = 1.2


async def fill(side: RuleSide, distinct: Sequence[RawDocument], count: int) -> None:
    """Store so many customers, each a copy of one of these."""
    await MongoEventStore(side.database).create_indexes()
    await side.documents.create_indexes(STEPPED_INDEXES)
    for begin in range(0, count, AT_ONCE):
        numbers = range(begin, min(begin + AT_ONCE, count))
        copies = [
            {**distinct[number % len(distinct)], "_id": customer_id(number)} for number in numbers
        ]
        await side.documents.collection.motor.insert_many(copies, ordered=False)


async def measure(place: Place) -> Figure:
    """Measure the row."""
    client = connect(place.mongo_url)
    rules = rule_set(RULES)
    distinct = [raw(each) for each in asked(customers(EVENTS // PER_CUSTOMER), Engine(rules))]
    counts = (CUSTOMERS * TIMES, CUSTOMERS)
    try:
        sides = [
            RuleSide(Database(client, f"{place.prefix}rules-growth-{count}"), rules)
            for count in counts
        ]
        for side, count in zip(sides, counts, strict=True):
            await fill(side, distinct, count)
        logs = [ReceiptLog(count, PER_CUSTOMER) for count in counts]
        folders = [side.folder for side in sides]
        as_a_service()

        async def round_of(which: int) -> Cost:
            return await folded(folders[which], logs[which].take(EVENTS))

        many, few = await in_turn(ROUNDS, lambda _: round_of(0), lambda _: round_of(1))
    finally:
        client.close()
    ratio = many.cpu_each / few.cpu_each
    return Figure(
        value=many.cpu_each,
        unit=f"µs of client CPU per event, {counts[0]:,} customers, {RULES} rules",
        bare=few.cpu_each,
        goal=f"≤ {LIMIT:g} × {counts[1]:,} customers",
        met=ratio <= LIMIT,
        server=place.mongo_server,
        beside={
            "ratio": ratio,
            "events_per_second": many.per_wall_second,
            "events_per_second_of_few": few.per_wall_second,
        },
    )
