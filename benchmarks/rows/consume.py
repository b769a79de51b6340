"""Records read and decoded beside records read.

Ours is what a projection does with a fetch before it folds: the kernel's `Decoder`, from raw
records to events with the fields that the read model asks for. Bare is `getmany` alone, by the same
consumer of the same records.
"""

from aiokafka import AIOKafkaConsumer

from benchmarks.figures import Figure
from benchmarks.kafka_log import fill, reader
from benchmarks.measuring import Cost, Stopwatch, as_a_service, in_turn
from benchmarks.place import Place
from benchmarks.sample import ReceiptLog
from services.interaction.projections.totals import TOTALS
from shared.kafka import KafkaUrl
from shared.projector.decoding import Decoder
from shared.projector.loop import IDLE_MS, MAX_RECORDS
from shared.records import RawRecord

EVENTS = 60_000
CUSTOMERS = 1_000
ROUNDS = 5
PART = 0.5


async def fetched(consumer: AIOKafkaConsumer) -> list[RawRecord]:
    """The records of one fetch."""
    batches = await consumer.getmany(timeout_ms=IDLE_MS, max_records=MAX_RECORDS)
    return [record for batch in batches.values() for record in batch]


async def measure(place: Place) -> Figure:
    """Measure the row."""
    url = KafkaUrl(place.kafka_url, place.prefix)
    await fill(url, ReceiptLog(CUSTOMERS), EVENTS)
    decoder = Decoder(TOTALS.name, TOTALS.reads, None)
    as_a_service()

    async def ours(_number: int) -> Cost:
        seen = 0
        async with reader(url) as consumer:
            watch = Stopwatch()
            while seen < EVENTS:
                seen += len(await decoder.decode(await fetched(consumer)))
            return watch.cost(seen)

    async def bare(_number: int) -> Cost:
        seen = 0
        async with reader(url) as consumer:
            watch = Stopwatch()
            while seen < EVENTS:
                seen += len(await fetched(consumer))
            return watch.cost(seen)

    kernel, client = await in_turn(ROUNDS, ours, bare)
    ratio = kernel.per_cpu_second / client.per_cpu_second
    return Figure(
        value=kernel.per_cpu_second,
        unit="events per second and core",
        bare=client.per_cpu_second,
        goal=f"≥ {PART:g} × bare",
        met=ratio >= PART,
        server=place.kafka_server,
        beside={
            "ratio": ratio,
            "events_per_second": kernel.per_wall_second,
            "bare_events_per_second": client.per_wall_second,
        },
    )
