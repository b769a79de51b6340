"""One step of a read model beside the two calls that it cannot do without.

Ours is the kernel's `Folder`: decode, load, fold, write. Bare is a loop of the driver's own
`find($in)` and `bulk_write` of the very documents that ours writes, behind the same guards, with
the same concerns, in a collection of its own. The documents are there before it begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo import ReplaceOne

from benchmarks.bare import BareDatabase, bare_database
from benchmarks.counting import CommandCount, counted_database
from benchmarks.figures import Figure
from benchmarks.measuring import Cost, Side, Stopwatch, as_a_service, in_turn
from benchmarks.place import Place
from benchmarks.sample import LoggedEvent, ReceiptLog
from services.interaction.projections.totals import TOTALS
from shared.memory import MemoryDocuments, MemoryParking
from shared.mongo import Database, MongoDocuments, connect
from shared.projector import Folder
from shared.readmodel import RawDocument

EVENTS = 1_000
"""Of a batch."""
PER_CUSTOMER = 4
"""Of a batch: a document is loaded and written once for four events."""
CUSTOMERS = 1_000
BATCHES = 4
ROUNDS = 6
TIMES = 2.0
TRIPS = 2
BARE = "bare"


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A record as the consumer gives it."""

    key: bytes
    value: bytes
    offset: int
    topic: str = "interaction.events.v1"
    partition: int = 0
    timestamp: int = 0


def records_of(events: Sequence[LoggedEvent], offset: int = 0) -> list[ReadRecord]:
    """Events as they are read."""
    return [ReadRecord(event.key, event.value, at) for at, event in enumerate(events, offset)]


def folder_of(documents: Any) -> Folder[Any]:  # noqa: ANN401 - documents in memory or on MongoDB
    """What folds receipts into totals."""
    return Folder(TOTALS, documents, MemoryParking())


@dataclass(frozen=True, slots=True)
class Step:
    """A batch, and the documents that it touches as they are after it."""

    records: Sequence[ReadRecord]
    documents: Sequence[RawDocument]


@dataclass(slots=True)
class Steps:
    """The batches of a log, one after the other."""

    log: ReceiptLog
    events: int = EVENTS
    _memory: MemoryDocuments = field(default_factory=MemoryDocuments)

    async def take(self, count: int) -> list[Step]:
        """The next batches."""
        folder = folder_of(self._memory)
        steps = []
        for _ in range(count):
            records = records_of(self.log.take(self.events))
            await folder.fold(records)
            ids = list(dict.fromkeys(record.key.decode() for record in records))
            steps.append(Step(records, list((await self._memory.load(ids)).values())))
        return steps


async def bare_step(database: BareDatabase, documents: Sequence[RawDocument]) -> None:
    """Load and write the documents, and nothing else."""
    collection = database[BARE]
    ids = [document["_id"] for document in documents]
    await collection.find({"_id": {"$in": ids}}).to_list(None)
    await collection.bulk_write(
        [
            ReplaceOne({"_id": each["_id"], "rev": each["rev"] - 1}, each, upsert=True)
            for each in documents
        ],
        ordered=False,
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Steps of ours and of the bare loop, on documents that are there."""

    place: Place
    per_customer: int
    batches: int
    rounds: int

    async def run(self) -> tuple[Side, Side]:
        """The costs of both sides."""
        name = f"{self.place.prefix}projection-{self.per_customer}"
        client = connect(self.place.mongo_url)
        bare = bare_database(self.place.mongo_url, name)
        try:
            folder = folder_of(MongoDocuments(Database(client, name), TOTALS.name))
            return await self._run(folder, bare)
        finally:
            client.close()
            bare.client.close()

    async def _run(self, folder: Folder[Any], bare: BareDatabase) -> tuple[Side, Side]:
        steps = Steps(ReceiptLog(CUSTOMERS, self.per_customer))
        for step in await steps.take(CUSTOMERS * self.per_customer // EVENTS):
            await folder.fold(step.records)
            await bare[BARE].insert_many(step.documents)
        rounds = [await steps.take(self.batches) for _ in range(self.rounds + 1)]
        as_a_service()

        async def ours_round(number: int) -> Cost:
            watch = Stopwatch()
            for step in rounds[number]:
                await folder.fold(step.records)
            return watch.cost(self.batches * EVENTS)

        async def bare_round(number: int) -> Cost:
            watch = Stopwatch()
            for step in rounds[number]:
                await bare_step(bare, step.documents)
            return watch.cost(self.batches * EVENTS)

        return await in_turn(self.rounds, ours_round, bare_round)


async def commands_of_a_batch(url: str, name: str) -> list[str]:
    """The commands that a batch costs whose documents are there."""
    count = CommandCount()
    database = counted_database(url, name, count)
    try:
        log = ReceiptLog(EVENTS // PER_CUSTOMER, PER_CUSTOMER)
        folder = folder_of(MongoDocuments(database, TOTALS.name))
        await folder.fold(records_of(log.take(EVENTS)))
        count.clear()
        await folder.fold(records_of(log.take(EVENTS)))
        return list(count.names)
    finally:
        database.client.close()


async def measure(place: Place) -> Figure:
    """Measure the row."""
    ours, bare = await Comparison(place, PER_CUSTOMER, BATCHES, ROUNDS).run()
    apart, bare_apart = await Comparison(place, 1, batches=1, rounds=ROUNDS).run()
    commands = await commands_of_a_batch(place.mongo_url, place.prefix + "projection-trips")
    ratio = ours.cpu_each / bare.cpu_each
    return Figure(
        value=ours.cpu_each,
        unit="µs of client CPU per event",
        bare=bare.cpu_each,
        goal=f"≤ {TIMES:g} × bare; {TRIPS} round trips per batch",
        met=ratio <= TIMES and len(commands) == TRIPS,
        server=place.mongo_server,
        beside={
            "ratio": ratio,
            "ratio_one_event_per_document": apart.cpu_each / bare_apart.cpu_each,
            "round_trips": len(commands),
            "events_per_batch": EVENTS,
            "events_per_document": PER_CUSTOMER,
            "events_per_second": ours.per_wall_second,
            "bare_events_per_second": bare.per_wall_second,
        },
    )
