"""Receipts taken in by a service's own processes, beside the bare writing of what comes of them.

Ours is whatever has to run for a receipt to be a commit in the database and a record in Kafka: the
processes are watched from outside, so that nothing of them can be left out, and what sends receipts
to them is not counted. Bare is this process inserting the very same commits by the driver, and
sending the very same bytes by aiokafka, with nothing else around: no decoding, no look whether
anything is known, no lease, no token.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.bare import BareDatabase, bare_database
from benchmarks.figures import Figure
from benchmarks.kafka_log import BATCH_BYTES, PARTITIONS, TOPIC
from benchmarks.measuring import Cost, Side, Stopwatch
from benchmarks.place import Place
from benchmarks.sample import card_of, customer_id
from services.interaction.projections.identifiers import IDENTIFIERS, Entry, Identifiers, own_id
from shared.events.interaction import ReceiptRecorded
from shared.identifiers import IdentifierRules
from shared.kafka import KafkaUrl, ensure_topics, partition_of
from shared.mongo import Database, MongoDocuments, MongoEventStore, connect
from shared.mongo.events import COMMITS
from shared.projector.folder import raw_document
from shared.readmodel import RawDocument

PATIENCE_SECONDS = 60.0
AT_A_TIME = 2
"""Batches under way."""
LOOK_SECONDS = 0.02
TIMES = 2.5


async def known_by_cards(database: Database, secret: bytes, customers: int) -> None:
    """Write the read model of customers who were registered with a card each."""
    rules = IdentifierRules(secret)
    documents = MongoDocuments(database, IDENTIFIERS.name)
    await documents.create_indexes(IDENTIFIERS.indexes)
    entries = [
        Identifiers(
            id=customer_id(number),
            entries=[
                Entry(own_id(customer_id(number)), 1),
                Entry(rules.known("card", card_of(number), "card").claim_id, 1),
            ],
        )
        for number in range(customers)
    ]
    await documents.write([raw_document(entry) for entry in entries])


@dataclass(frozen=True, slots=True)
class Watched:
    """Processes whose CPU time counts, by what they do."""

    processes: Mapping[str, psutil.Process]

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU that each has used."""
        times = {name: process.cpu_times() for name, process in self.processes.items()}
        return {name: float(each.user + each.system) for name, each in times.items()}


@dataclass(slots=True)
class Arrivals:
    """What has come into the topic of facts."""

    consumer: AIOKafkaConsumer
    places: Sequence[TopicPartition]

    async def count(self) -> int:
        """Records so far."""
        ends: dict[TopicPartition, int] = await self.consumer.end_offsets(self.places)
        return sum(ends.values())

    async def until(self, count: int) -> None:
        """Wait until so many are there. Raises TimeoutError."""
        end = time.monotonic() + PATIENCE_SECONDS
        while await self.count() < count:
            if time.monotonic() > end:
                raise TimeoutError
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def arrivals(url: KafkaUrl) -> AsyncIterator[Arrivals]:
    """A look at the topic, without a group."""
    consumer = AIOKafkaConsumer(bootstrap_servers=url.bootstrap, group_id=None)
    await consumer.start()
    try:
        yield Arrivals(
            consumer, [TopicPartition(url.topic(TOPIC), number) for number in range(PARTITIONS)]
        )
    finally:
        await consumer.stop()


@dataclass(frozen=True, slots=True)
class Written:
    """What some receipts became, in the order in which they were recorded."""

    documents: Sequence[RawDocument]

    @property
    def receipts(self) -> int:
        """How many events there are."""
        return sum(len(document["events"]) for document in self.documents)

    def parts(self, receipts: int) -> Iterator["Written"]:
        """Parts of at least so many receipts, but for the last."""
        part: list[RawDocument] = []
        count = 0
        for document in self.documents:
            part.append(document)
            count += len(document["events"])
            if count >= receipts:
                yield Written(part)
                part, count = [], 0
        if part:
            yield Written(part)

    def records(self) -> list[tuple[bytes, bytes]]:
        """Key and value of each event."""
        return [
            (document["key"].encode(), text.encode())
            for document in self.documents
            for text in document["events"]
        ]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The commits of the service."""

    database: BareDatabase

    async def since(self, seconds: float) -> Written:
        """Those that were recorded from a moment of the system's time on, with receipts in them."""
        begun = datetime.fromtimestamp(int(seconds * 1_000) / 1_000, UTC)
        found = await self.database[COMMITS].find({"recorded_at": {"$gte": begun}}).to_list(None)
        kind = f'"type":"{ReceiptRecorded.type}"'
        return Written([each for each in found if kind in each["events"][0]])


Records = Sequence[tuple[bytes, bytes]]


@dataclass(slots=True)
class Bare:
    """The driver and aiokafka alone, with as much under way at once as ours has."""

    plain: BareDatabase
    built: BareDatabase
    producer: AIOKafkaProducer
    topic: str

    async def write(self, parts: Sequence[Written]) -> tuple[Cost, Cost]:
        """Insert and send all parts: by the plain `send`, and in batches built by hand."""
        return (
            await self._write(parts, self.plain, self._send),
            await self._write(parts, self.built, self._send_batches),
        )

    async def _write(
        self,
        parts: Sequence[Written],
        database: BareDatabase,
        send: Callable[[Records], Awaitable[None]],
    ) -> Cost:
        queue = iter([(part.documents, part.records()) for part in parts])

        async def one_after_the_other() -> None:
            for documents, records in queue:
                await database[COMMITS].insert_many(documents, ordered=False)
                await send(records)

        watch = Stopwatch()
        await asyncio.gather(*(one_after_the_other() for _ in range(AT_A_TIME)))
        return watch.cost(sum(part.receipts for part in parts))

    async def _send(self, records: Records) -> None:
        await asyncio.gather(
            *[await self.producer.send(self.topic, value, key=key) for key, value in records]
        )

    async def _send_batches(self, records: Records) -> None:
        place = partition_of(PARTITIONS)
        queues: dict[int, list[tuple[bytes, bytes]]] = {}
        for record in records:
            queues.setdefault(place(record[0]), []).append(record)
        sent = []
        for partition, queue in queues.items():
            begin = 0
            while begin < len(queue):
                batch = self.producer.create_batch()
                for key, value in queue[begin:]:
                    if batch.append(key=key, value=value, timestamp=None) is None:
                        break
                    begin += 1
                batch.close()
                sent.append(await self.producer.send_batch(batch, self.topic, partition=partition))
        await asyncio.gather(*sent)


@asynccontextmanager
async def bare_writing(place: Place, name: str) -> AsyncIterator[Bare]:
    """The bare side, on databases of its own with the same indexes."""
    names = [f"{place.prefix}bare-{name}-{side}" for side in ("plain", "built")]
    client = connect(place.mongo_url)
    for each in names:
        await MongoEventStore(Database(client, each)).create_indexes()
    client.close()
    url = KafkaUrl(place.kafka_url, f"{place.prefix}bare-")
    await ensure_topics(url, PARTITIONS)
    plain, built = (bare_database(place.mongo_url, each) for each in names)
    producer = AIOKafkaProducer(
        bootstrap_servers=place.kafka_url,
        enable_idempotence=True,
        acks="all",
        max_batch_size=BATCH_BYTES,
        max_request_size=2 * BATCH_BYTES,
    )
    await producer.start()
    try:
        yield Bare(plain, built, producer, url.topic(TOPIC))
    finally:
        await producer.stop()
        plain.client.close()
        built.client.close()


class Watch:
    """Runs from its making; its CPU time is that of the watched processes."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._cpu, self._wall = watched.cpu(), time.perf_counter()

    def costs(self, count: int) -> dict[str, Cost]:
        """What so many things took of each process until now."""
        wall, now = time.perf_counter() - self._wall, self._watched.cpu()
        return {name: Cost(count, now[name] - begun, wall) for name, begun in self._cpu.items()}


def of_all(costs: Mapping[str, Cost]) -> Cost:
    """The CPU time of all processes, which have run side by side."""
    each = list(costs.values())
    return Cost(each[0].count, sum(cost.cpu for cost in each), each[0].wall)


def figure_of(
    ours: Side, bare: Sequence[tuple[Cost, Cost]], unit: str, place: Place, **beside: float
) -> Figure:
    """The row of a way in, beside the bare writing of what came of it."""
    plain, built = (Side(costs) for costs in zip(*bare, strict=True))
    ratio = ours.cpu_each / plain.cpu_each
    return Figure(
        value=ours.cpu_each,
        unit=f"µs of client CPU per receipt, {unit}",
        bare=plain.cpu_each,
        goal=f"≤ {TIMES:g} × bare insert_many and send",
        met=ratio <= TIMES,
        server=f"{place.mongo_server}, {place.kafka_server}",
        beside={
            "ratio": ratio,
            "ratio_to_batches_built_by_hand": ours.cpu_each / built.cpu_each,
            "receipts_per_second": ours.per_wall_second,
            "bare_receipts_per_second": plain.per_wall_second,
            **beside,
        },
    )
