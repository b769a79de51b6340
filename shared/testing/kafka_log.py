"""What Kafka holds, read from Kafka itself: whole partitions and committed offsets."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


async def read_partition(bootstrap: str, place: TopicPartition) -> Sequence[ConsumerRecord]:
    """All records of a partition as it is now."""
    return (await read_partitions(bootstrap, [place]))[place]


async def read_partitions(
    bootstrap: str, places: Collection[TopicPartition]
) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
    """All records of the partitions as they are now."""
    read: dict[TopicPartition, list[ConsumerRecord]] = {place: [] for place in places}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False
    )
    try:
        await consumer.start()
        ends = await consumer.end_offsets(list(places))
        unread = {place for place in places if ends[place] > 0}
        if unread:
            consumer.assign(sorted(unread))
            await consumer.seek_to_beginning()
        while unread:
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                read[place] += [record for record in records if record.offset < ends[place]]
            for place in list(unread):
                if await consumer.position(place) >= ends[place]:
                    unread.discard(place)
    finally:
        await consumer.stop()
    return read


async def committed_offsets(bootstrap: str, group: str) -> Mapping[TopicPartition, int]:
    """What the group (full name) has committed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        offsets = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {place: entry.offset for place, entry in offsets.items()}


@asynccontextmanager
async def producing(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that may send what no relay ever would."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()
