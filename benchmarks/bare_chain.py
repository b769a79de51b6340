"""The hops from a receipt to its mail, one after the other, with bare clients in one process.

Or those to the topic of transitions, and no further.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiosmtplib import SMTP

from benchmarks.bare import BareDatabase, bare_database
from benchmarks.place import Place
from benchmarks.sink import Arrivals, Sink

FIRST, SECOND, THIRD = "receipts", "transitions", "messages"
WAIT_MS = 500
PATIENCE_SECONDS = 30.0
Documents = Sequence[Mapping[str, Any]]
Take = Callable[[Sequence[int]], Awaitable[None]]


def address(number: int) -> str:
    """The recipient of the mail that an entry causes."""
    return f"bare-{number}@example.com"


async def tail(
    database: BareDatabase, name: str, send: Callable[[Documents], Awaitable[None]]
) -> None:
    """Follow the inserts into a collection."""
    async with await database.client.start_session() as session:
        pipeline = [{"$changeStream": {}}, {"$match": {"operationType": "insert"}}]
        command: dict[str, Any] = {"aggregate": name, "pipeline": pipeline, "cursor": {}}
        while True:
            cursor = (await database.command(command, session=session))["cursor"]
            changes = cursor.get("firstBatch", cursor.get("nextBatch"))
            if changes:
                await send([change["fullDocument"] for change in changes])
            command = {"getMore": cursor["id"], "collection": name, "maxTimeMS": WAIT_MS}


def to_kafka(producer: AIOKafkaProducer, topic: str) -> Callable[[Documents], Awaitable[None]]:
    """What publishes documents by their number."""

    async def send(documents: Documents) -> None:
        sent = [await producer.send(topic, str(each["number"]).encode()) for each in documents]
        await asyncio.gather(*sent)

    return send


async def follow(consumer: AIOKafkaConsumer, take: Take) -> None:
    """Read a topic."""
    while True:
        for records in (await consumer.getmany(timeout_ms=WAIT_MS)).values():
            await take([int(record.value) for record in records])


def into(database: BareDatabase, name: str) -> Take:
    """What inserts numbers into a collection."""

    async def take(numbers: Sequence[int]) -> None:
        await database[name].insert_many([{"number": number} for number in numbers])

    return take


def to_mail(database: BareDatabase, client: SMTP) -> Take:
    """What notes numbers and sends a mail for each."""
    note = into(database, THIRD)

    async def take(numbers: Sequence[int]) -> None:
        await note(numbers)
        for number in numbers:
            mail = f"Subject: Thank you\r\n\r\n{number}\r\n"
            await client.sendmail("news@example.com", [address(number)], mail)

    return take


async def bare_latencies(place: Place, sink: Sink, rate: float, count: int) -> list[float]:
    """Milliseconds from the first insert to the mail, of so many at a rate."""
    mail = SMTP(hostname="127.0.0.1", port=int(sink.url.rpartition(":")[2]))
    await mail.connect()
    try:
        return await chained(place, sink, rate, count, lambda database: to_mail(database, mail))
    finally:
        mail.close()


async def bare_entries(place: Place, arrivals: Arrivals, rate: float, count: int) -> list[float]:
    """Milliseconds from the first insert until the second is read from its topic."""

    async def note(numbers: Sequence[int]) -> None:
        for number in numbers:
            arrivals.note(address(number))

    return await chained(place, arrivals, rate, count, lambda _database: note)


async def chained(
    place: Place,
    arrivals: Arrivals,
    rate: float,
    count: int,
    last: Callable[[BareDatabase], Take],
) -> list[float]:
    """Milliseconds from the first insert to the arrival that `last` brings about."""
    database = bare_database(place.mongo_url, place.prefix + "bare-chain")
    producer = AIOKafkaProducer(
        bootstrap_servers=place.kafka_url, enable_idempotence=True, acks="all"
    )
    topics = [f"{place.prefix}bare.{name}" for name in (FIRST, SECOND)]
    await make_topics(place.kafka_url, topics)
    consumers = [AIOKafkaConsumer(topic, bootstrap_servers=place.kafka_url) for topic in topics]
    for client in (producer, *consumers):
        await client.start()
    for name in (FIRST, SECOND, THIRD):
        await database.create_collection(name)
    hops = [
        tail(database, FIRST, to_kafka(producer, topics[0])),
        follow(consumers[0], into(database, SECOND)),
        tail(database, SECOND, to_kafka(producer, topics[1])),
        follow(consumers[1], last(database)),
    ]
    running = [asyncio.create_task(hop) for hop in hops]
    try:
        await asyncio.sleep(1)
        return await at_rate(database, arrivals, rate, count)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for client in (producer, *consumers):
            await client.stop()
        database.client.close()


async def at_rate(
    database: BareDatabase, arrivals: Arrivals, rate: float, count: int
) -> list[float]:
    """Insert evenly, and wait for every arrival."""
    accepted: dict[int, float] = {}

    async def one(number: int) -> None:
        await database[FIRST].insert_one({"number": number})
        accepted[number] = time.perf_counter()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await arrivals.expect(address(number)).wait()

    begin = time.perf_counter()
    entries = []
    for number in range(count):
        await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
        entries.append(asyncio.create_task(one(number)))
    await asyncio.gather(*entries)
    return [(arrivals.arrived[address(number)] - at) * 1_000 for number, at in accepted.items()]


async def make_topics(url: str, topics: Sequence[str]) -> None:
    """Make topics of one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=url)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1) for topic in topics])
    finally:
        await admin.close()
