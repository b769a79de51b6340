"""A step of a read model over few customers beside the same step over twenty times as many.

Batches are alike in both: as many events, as many documents, as many events for each. Only the
collection is larger, and a document comes again after twenty times as many batches.
"""

from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient

from benchmarks.bare import bare_database
from benchmarks.figures import Figure
from benchmarks.measuring import Cost, Stopwatch, as_a_service, in_turn
from benchmarks.place import Place
from benchmarks.rows.projection import EVENTS, PER_CUSTOMER, folder_of, records_of
from benchmarks.sample import ReceiptLog
from services.interaction.projections.totals import TOTALS
from shared.memory import MemoryDocuments
from shared.mongo import Database, MongoDocuments, connect
from shared.projector import Folder
from shared.readmodel import RawDocument

Client = AsyncIOMotorClient[dict[str, Any]]

CUSTOMERS = 500
TIMES = 20
BATCHES = 4
ROUNDS = 6
LIMIT = 1.2


async def lived(log: ReceiptLog) -> list[RawDocument]:
    """The documents after one turn of each customer."""
    memory = MemoryDocuments()
    folder = folder_of(memory)
    events = log.take(log.customers * log.per_turn)
    for begin in range(0, len(events), EVENTS):
        await folder.fold(records_of(events[begin : begin + EVENTS]))
    ids = dict.fromkeys(event.key.decode() for event in events)
    return list((await memory.load(list(ids))).values())


async def living(place: Place, client: Client, log: ReceiptLog) -> Folder[Any]:
    """A read model of the log's customers, each with one turn behind it."""
    name = f"{place.prefix}growth-{log.customers}"
    bare = bare_database(place.mongo_url, name)
    await bare[TOTALS.name].insert_many(await lived(log))
    bare.client.close()
    return folder_of(MongoDocuments(Database(client, name), TOTALS.name))


async def measure(place: Place) -> Figure:
    """Measure the row."""
    client = connect(place.mongo_url)
    logs = [ReceiptLog(CUSTOMERS * times, PER_CUSTOMER) for times in (TIMES, 1)]
    try:
        folders = [await living(place, client, log) for log in logs]
        as_a_service()

        async def round_of(which: int) -> Cost:
            batches = [records_of(logs[which].take(EVENTS)) for _ in range(BATCHES)]
            watch = Stopwatch()
            for batch in batches:
                await folders[which].fold(batch)
            return watch.cost(BATCHES * EVENTS)

        many, few = await in_turn(ROUNDS, lambda _: round_of(0), lambda _: round_of(1))
    finally:
        client.close()
    ratio = many.cpu_each / few.cpu_each
    return Figure(
        value=many.cpu_each,
        unit=f"µs of client CPU per event, {CUSTOMERS * TIMES:,} customers",
        bare=few.cpu_each,
        goal=f"≤ {LIMIT:g} × {CUSTOMERS:,} customers",
        met=ratio <= LIMIT,
        server=place.mongo_server,
        beside={
            "ratio": ratio,
            "events_per_second": many.per_wall_second,
            "events_per_second_of_few": few.per_wall_second,
        },
    )
