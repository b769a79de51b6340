"""From an accepted receipt to `segment.entered` on its topic, with customers, facts and segments.

As `latency`, without what comes after the segment: everybody who buys enters one, at first as fast
as the system takes them, then at half of that rate. The moment is that at which a plain consumer of
the topic has the event. Bare is the chain of hops without our code up to the second topic.
`REGULARS_BENCH_BUYERS` is how many customers there are.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2
from aiokafka import AIOKafkaConsumer

from benchmarks.bare_chain import bare_entries
from benchmarks.figures import Figure
from benchmarks.measuring import as_a_service
from benchmarks.place import Place
from benchmarks.processes import Processes
from benchmarks.rows.latency import (
    NO_BRAKE,
    SETTLE_SECONDS,
    Found,
    Tills,
    address,
    define_segment,
    owners_key,
    percentiles,
)
from benchmarks.sink import Arrivals
from deploy.client import connect
from deploy.embedded.supervisor import Supervisor
from shared.envelope import decode_light
from shared.events import topic_of
from shared.events.segment import SegmentEntered

SERVICES = ("customer", "interaction", "segment")
TOPIC = topic_of(SegmentEntered.type, "segment")
WAIT_MS = 200


async def _read(consumer: AIOKafkaConsumer, arrivals: Arrivals, numbers: Mapping[str, int]) -> None:
    while True:
        for records in (await consumer.getmany(timeout_ms=WAIT_MS)).values():
            for light in map(decode_light, (record.value for record in records)):
                number = numbers.get(light.subject or "")
                if light.type == SegmentEntered.type and number is not None:
                    arrivals.note(address(number))


@asynccontextmanager
async def reading(
    place: Place, arrivals: Arrivals, numbers: Mapping[str, int]
) -> AsyncIterator[None]:
    """A consumer of the topic of transitions; `numbers` are those of the customers, by id."""
    consumer = AIOKafkaConsumer(
        place.prefix + TOPIC,
        bootstrap_servers=place.kafka_url,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    running = asyncio.create_task(_read(consumer, arrivals, numbers))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await consumer.stop()


async def of_the_system(place: Place) -> Found:
    """Measure our side."""
    async with Supervisor(place.folder) as supervisor, httpx2.AsyncClient() as http:
        processes = Processes(place, supervisor, http)
        started = await asyncio.gather(*(processes.service(name, **NO_BRAKE) for name in SERVICES))
        urls = dict(zip(SERVICES, started, strict=True))
        async with connect(urls, await owners_key(place, processes.hmac_secret)) as chain:
            await define_segment(chain)
            arrivals = Arrivals()
            tills = Tills(chain, arrivals)
            numbers = {name: number for number, name in enumerate(await tills.register(SERVICES))}
            async with reading(place, arrivals, numbers):
                as_a_service()
                rate = await tills.full()
                await asyncio.sleep(SETTLE_SECONDS)
                return Found(rate, await tills.at_rate(rate / 2))


async def measure(place: Place) -> Figure:
    """Measure the row."""
    found = await of_the_system(place)
    bare = await bare_entries(place, Arrivals(), found.rate / 2, len(found.milliseconds))
    p50, p99 = percentiles(found.milliseconds)
    bare_p50, bare_p99 = percentiles(bare)
    return Figure(
        value=p99,
        unit="ms from acceptance to `entered` on Kafka, p99",
        bare=bare_p99,
        goal="none",
        met=True,
        server=f"{place.mongo_server}, {place.kafka_server}",
        beside={
            "p50": p50,
            "bare_p50": bare_p50,
            "entered": len(found.milliseconds),
            "entered_per_second": found.rate / 2,
            "highest_entered_per_second": found.rate,
        },
    )
