"""From an event on Kafka to the mail that a campaign sends for it.

What `latency` has at its end, by itself: a receipt is on the topic of facts, acknowledged by the
broker; a campaign on receipts takes it, schedules, looks at everything, writes *sending* down and
hands over by SMTP. Notify and customer run as processes of their own; the receipts are written to
Kafka by the row, so that nobody else's work is in the time. At first half of the customers buy at
one moment, and what is carried is how many a second there are until their mails have come and the
relay and all read models have caught up: mails alone come faster, and leave work behind. Then
customers buy evenly at half of that, and for each the time is taken. Bare reads the same bytes from
a topic at the same rate, inserts two documents one after the other and sends a mail.
`REGULARS_BENCH_BUYERS` is how many customers there are.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import httpx2
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiosmtplib import SMTP

from benchmarks.bare import bare_database
from benchmarks.bare_chain import WAIT_MS, make_topics
from benchmarks.figures import Figure
from benchmarks.kafka_log import PARTITIONS
from benchmarks.kafka_log import TOPIC as FACTS
from benchmarks.measuring import as_a_service
from benchmarks.place import Place
from benchmarks.processes import Processes
from benchmarks.rows.latency import (
    CUSTOMERS,
    SETTLE_SECONDS,
    TOPIC,
    Found,
    Tills,
    address,
    caught_up,
    owners_key,
    percentiles,
)
from benchmarks.sample import branch_of, fact_id, recorded
from benchmarks.sink import Sink, listening
from deploy.client import Chain, connect
from deploy.embedded.supervisor import Supervisor
from services.interaction.domain.streams import stream_of
from shared.envelope import Causation, Placed, encode
from shared.events.interaction import ReceiptLine, ReceiptRecorded
from shared.kafka import partition_of

SERVICES = ("customer", "notify")
CAMPAIGN = "thanks"
AT_ONCE = CUSTOMERS // 2
PATIENCE_SECONDS = 60.0
FROM = "news@example.com"
SUBJECT, TEXT = "Thank you", "Thank you for buying with us."
LINE = ReceiptLine(product="1", quantity=Decimal(1), amount=250)
Send = Callable[[int], Awaitable[object]]
"""Puts the receipt of a customer on a topic; ends when the broker has it."""


async def define_campaign(chain: Chain) -> None:
    """The campaign that writes to whoever buys."""
    campaign = {
        "title": "Thanks",
        "trigger": {"kind": "on_event", "event": ReceiptRecorded.type},
        "channel": "email",
        "topic": TOPIC,
        "template": {"subject": SUBJECT, "text": TEXT},
        "start": "2017-01-01T00:00:00Z",
        "holdout_percent": 0,
    }
    await chain.put("notify", f"/v1/campaigns/{CAMPAIGN}", campaign)
    await chain.post("notify", f"/v1/campaigns/{CAMPAIGN}/start", {}, "benchmark-start")


def receipt_of(customer: str, number: int) -> bytes:
    """The event of a customer's only receipt, of this moment."""
    now = datetime.now(UTC)  # noqa: TID251 - the till's clock, as a person sees it
    placed = Placed(
        data=recorded((LINE,), fact_id(number), str(number)),
        service="interaction",
        stream=stream_of(customer),
        version=1,
        time=now,
        recorded=now,
        causation=Causation(correlation=f"pos|{number}"),
        subject=customer,
        branch=branch_of(number, 1),
    )
    return encode(placed).encode()


@dataclass(slots=True)
class Buyers:
    """Customers who buy once each; `mailboxes` gives where the mail of each arrives."""

    sink: Sink
    send: Send
    mailbox: Callable[[int], str]
    sent: dict[int, float] = field(default_factory=dict)

    async def at_one_moment(self, numbers: Sequence[int]) -> None:
        """All of them buy."""
        await asyncio.gather(*(self._buy(number) for number in numbers))

    async def at_rate(self, rate: float, numbers: Sequence[int]) -> list[float]:
        """They buy evenly; gives milliseconds from the broker's word to the mail."""
        begin, buying = time.perf_counter(), []
        for turn, number in enumerate(numbers):
            await asyncio.sleep(max(0.0, begin + turn / rate - time.perf_counter()))
            buying.append(asyncio.create_task(self._buy(number)))
        await asyncio.gather(*buying)
        return [
            (self.sink.arrived[self.mailbox(number)] - self.sent[number]) * 1_000
            for number in numbers
        ]

    async def _buy(self, number: int) -> None:
        await self.send(number)
        self.sent[number] = time.perf_counter()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.sink.expect(self.mailbox(number)).wait()


@asynccontextmanager
async def producing(place: Place) -> AsyncIterator[AIOKafkaProducer]:
    """A producer as relays have it."""
    producer = AIOKafkaProducer(
        bootstrap_servers=place.kafka_url, enable_idempotence=True, acks="all"
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@dataclass(frozen=True, slots=True)
class Told(Found):
    """What was found of the system, and who its customers are."""

    ids: Sequence[str]


async def of_the_system(place: Place, sink: Sink, producer: AIOKafkaProducer) -> Told:
    """Measure our side."""
    async with Supervisor(place.folder) as supervisor, httpx2.AsyncClient() as http:
        processes = Processes(place, supervisor, http)
        mail = {"REGULARS_SMTP_URL": sink.url, "REGULARS_SMTP_DEDUPLICATES": "P1D"}
        started = await asyncio.gather(*(processes.service(name, **mail) for name in SERVICES))
        urls = dict(zip(SERVICES, started, strict=True))
        async with connect(urls, await owners_key(place, processes.hmac_secret)) as chain:
            await define_campaign(chain)
            ids = await Tills(chain, sink).register(SERVICES)
            partition = partition_of(PARTITIONS)

            async def send(number: int) -> None:
                key = ids[number].encode()
                topic, value = place.prefix + FACTS, receipt_of(ids[number], number)
                where = partition(key)
                await producer.send_and_wait(topic, value, key=key, partition=where)

            as_a_service()
            buyers = Buyers(sink, send, address)
            began = time.perf_counter()
            await buyers.at_one_moment(range(AT_ONCE))
            await caught_up(chain, SERVICES)
            rate = AT_ONCE / (time.perf_counter() - began)
            found = await buyers.at_rate(rate / 2, range(AT_ONCE, CUSTOMERS))
            return Told(rate, found, ids)


def bare_address(number: int) -> str:
    """Where the mail of the bare chain arrives."""
    return f"bare-{number}@example.com"


async def bare(place: Place, sink: Sink, producer: AIOKafkaProducer, told: Told) -> list[float]:
    """The same receipts at the same rate, with bare clients."""
    topic = f"{place.prefix}bare.facts"
    await make_topics(place.kafka_url, [topic])
    numbers = {customer.encode(): number for number, customer in enumerate(told.ids)}

    async def send(number: int) -> None:
        customer = told.ids[number]
        await producer.send_and_wait(topic, receipt_of(customer, number), key=customer.encode())

    async with handing_over(place, sink, topic, numbers):
        buyers = Buyers(sink, send, bare_address)
        return await buyers.at_rate(told.rate / 2, range(AT_ONCE, CUSTOMERS))


@asynccontextmanager
async def handing_over(
    place: Place, sink: Sink, topic: str, numbers: Mapping[bytes, int]
) -> AsyncIterator[None]:
    """What reads the topic, inserts twice and sends; `numbers` are those of customers by key."""
    database = bare_database(place.mongo_url, f"{place.prefix}bare-trigger")
    mail = SMTP(hostname="127.0.0.1", port=int(sink.url.rpartition(":")[2]))
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=place.kafka_url)
    await mail.connect()
    await consumer.start()

    async def follow() -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=WAIT_MS)).values():
                here = [numbers[record.key] for record in records]
                for kind in ("scheduled", "sending"):
                    await database[kind].insert_many([{"number": number} for number in here])
                for number in here:
                    text = f"Subject: {SUBJECT}\r\n\r\n{TEXT}\r\n"
                    await mail.sendmail(FROM, [bare_address(number)], text)

    for kind in ("scheduled", "sending"):
        await database.create_collection(kind)
    following = asyncio.create_task(follow())
    try:
        await asyncio.sleep(SETTLE_SECONDS)
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await consumer.stop()
        mail.close()
        database.client.close()


async def measure(place: Place) -> Figure:
    """Measure the row."""
    async with listening() as sink, producing(place) as producer:
        told = await of_the_system(place, sink, producer)
        beside = await bare(place, sink, producer, told)
    p50, p99 = percentiles(told.milliseconds)
    bare_p50, bare_p99 = percentiles(beside)
    return Figure(
        value=p99,
        unit="ms from the event on Kafka to its mail, p99",
        bare=bare_p99,
        goal="none",
        met=True,
        server=f"{place.mongo_server}, {place.kafka_server}",
        beside={
            "p50": p50,
            "bare_p50": bare_p50,
            "mails": len(told.milliseconds),
            "mails_per_second": told.rate / 2,
            "carried_per_second": told.rate,
        },
    )
