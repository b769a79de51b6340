"""A worker over a million events: its memory, and what a second worker costs beside it.

Workers are the product's own processes, watched from outside. First one reads the topic from its
beginning, then two of them do, into databases of their own. CPU time is counted while they are at
it, without their start, in windows of which the median is taken.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import httpx2
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.figures import Figure
from benchmarks.kafka_log import PARTITIONS, TOPIC, fill
from benchmarks.measuring import MICROSECONDS
from benchmarks.place import Place
from benchmarks.processes import Processes, Sample, Watched
from benchmarks.sample import ReceiptLog
from deploy.embedded.supervisor import Supervisor
from services.interaction.projections.totals import TOTALS
from shared.kafka import KafkaUrl

EVENTS = 1_000_000
CUSTOMERS = 5_000
PER_TURN = 20
"""Receipts of a customer in a row, as when a year is imported household by household."""
SECONDS = float(os.environ.get("REGULARS_BENCH_READING_SECONDS", "30"))
"""After so long a reading (and the filling before it) is cut off on a slow machine; what was
applied is told beside."""
SAMPLE_SECONDS = 0.5
WINDOW = 4
"""Samples of a window."""
WARM = 0.1
"""Part of the events after which a worker has its size."""
MEGABYTES = 150.0
FLAT = 0.05
WITHIN = 0.10
SERVICE = "interaction"


@dataclass(frozen=True, slots=True)
class Reading:
    """Samples of one or more workers at the same moments, and the seconds that they cover."""

    samples: Sequence[Sequence[Sample]]
    seconds: float

    @property
    def applied(self) -> int:
        """Events applied by all of them."""
        return _applied(self.samples[-1])

    @property
    def cpu_each(self) -> float:
        """Microseconds of CPU for an event, all workers together."""
        busy = [each for each in self.samples if WARM < _applied(each) / self.applied < 1 - WARM]
        windows = [
            (_cpu(last) - _cpu(first)) / (_applied(last) - _applied(first))
            for first, last in pairwise(busy[::WINDOW])
            if _applied(last) > _applied(first)
        ]
        return median(windows) * MICROSECONDS

    def megabytes(self, part: float) -> float:
        """The most that a worker held within the first part of the events, from warm on."""
        return max(
            sample.megabytes
            for each in self.samples
            if WARM <= _applied(each) / self.applied <= part
            for sample in each
        )


def _applied(samples: Sequence[Sample]) -> int:
    return sum(sample.applied for sample in samples)


def _cpu(samples: Sequence[Sample]) -> float:
    return sum(sample.cpu for sample in samples)


async def rewind(url: KafkaUrl, group: str) -> None:
    """Have the group of a read model begin anew; nobody is in it."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=url.bootstrap,
        group_id=url.topic(group),
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        places = [TopicPartition(url.topic(TOPIC), number) for number in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.commit(dict.fromkeys(places, 0))
    finally:
        await consumer.stop()


async def watch(workers: Sequence[Watched], events: int) -> Reading:
    """Sample until all events are applied, or for as long as a reading may take."""
    begin = time.monotonic()
    samples: list[list[Sample]] = []
    while time.monotonic() - begin < SECONDS:
        samples.append([await worker.sample() for worker in workers])
        if _applied(samples[-1]) >= events:
            break
        await asyncio.sleep(SAMPLE_SECONDS)
    return Reading(samples, time.monotonic() - begin)


async def reading_by(place: Place, count: int, events: int) -> Reading:
    """What so many workers do with the topic."""
    folder = place.folder / f"workers-{count}"
    folder.mkdir(parents=True)
    async with Supervisor(folder) as supervisor, httpx2.AsyncClient() as http:
        processes = Processes(place, supervisor, http)
        prefix = f"{place.prefix}{count}-"
        running = [await processes.worker(SERVICE, TOTALS.name, prefix) for _ in range(count)]
        return await watch(running, events)


async def measure(place: Place) -> dict[str, Figure]:
    """Measure both rows."""
    url = KafkaUrl(place.kafka_url, place.prefix)
    events = await fill(url, ReceiptLog(CUSTOMERS, PER_TURN), EVENTS, SECONDS)
    one = await reading_by(place, 1, events)
    await rewind(url, f"{SERVICE}.{TOTALS.name}")
    two = await reading_by(place, 2, events)
    return {"memory": memory(one, place), "workers": two_workers(one, two, place)}


def memory(one: Reading, place: Place) -> Figure:
    """How large a worker is, and whether it stays so."""
    first, last = one.megabytes(2 * WARM), one.megabytes(1)
    grown = last / first - 1
    return Figure(
        value=last,
        unit="MB resident, at most",
        bare=one.samples[0][0].megabytes,
        goal=f"≤ {MEGABYTES:g} MB; flat: within {FLAT:.0%} of the first fifth",
        met=last <= MEGABYTES and grown <= FLAT,
        server=place.mongo_server,
        beside={
            "events": one.applied,
            "megabytes_in_the_first_fifth": first,
            "grown": grown,
            "events_per_second": one.applied / one.seconds,
        },
    )


def two_workers(one: Reading, two: Reading, place: Place) -> Figure:
    """What an event costs when two share the work, and when one does it."""
    ratio = two.cpu_each / one.cpu_each
    return Figure(
        value=two.cpu_each,
        unit="µs of client CPU per event, two workers",
        bare=one.cpu_each,
        goal=f"≤ {1 + WITHIN:g} × one worker",
        met=ratio <= 1 + WITHIN,
        server=place.mongo_server,
        beside={
            "ratio": ratio,
            "events": two.applied,
            "events_per_second": two.applied / two.seconds,
            "events_per_second_of_one": one.applied / one.seconds,
        },
    )
