"""Topics filled with receipts, as the relay would fill them."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.sample import LoggedEvent, ReceiptLog
from shared.kafka import KafkaUrl, ensure_topics, partition_of
from shared.projector.loop import FETCH_BYTES, PARTITION_FETCH_BYTES

TOPIC = "interaction.events.v1"
PARTITIONS = 12
CHUNK = 20_000
BATCH_BYTES = 900_000


async def fill(url: KafkaUrl, log: ReceiptLog, count: int, seconds: float = float("inf")) -> int:
    """Make the topics and put the next events of the log into theirs, for so long at most.

    Gives how many there are.
    """
    begun = time.monotonic()
    filled = 0
    await ensure_topics(url, PARTITIONS)
    producer = AIOKafkaProducer(
        bootstrap_servers=url.bootstrap,
        max_batch_size=BATCH_BYTES,
        max_request_size=2 * BATCH_BYTES,
    )
    await producer.start()
    try:
        while filled < count and time.monotonic() - begun < seconds:
            events = log.take(min(CHUNK, count - filled))
            await _send(producer, url.topic(TOPIC), events)
            filled += len(events)
    finally:
        await producer.stop()
    return filled


async def _send(producer: AIOKafkaProducer, topic: str, events: Sequence[LoggedEvent]) -> None:
    place = partition_of(PARTITIONS)
    queues: dict[int, list[LoggedEvent]] = {}
    for event in events:
        queues.setdefault(place(event.key), []).append(event)
    for partition, queue in queues.items():
        begin, sent = 0, None
        while begin < len(queue):
            batch = producer.create_batch()
            for event in queue[begin:]:
                if batch.append(key=event.key, value=event.value, timestamp=None) is None:
                    break
                begin += 1
            batch.close()
            sent = await producer.send_batch(batch, topic, partition=partition)
        if sent is not None:
            await sent


@asynccontextmanager
async def reader(url: KafkaUrl) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer as projections have it, without a group, at the beginning of the topic."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=url.bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_bytes=FETCH_BYTES,
        max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(url.topic(TOPIC), number) for number in range(PARTITIONS)])
        yield consumer
    finally:
        await consumer.stop()
