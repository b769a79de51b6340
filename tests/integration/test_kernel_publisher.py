"""The relay's producer on a real broker: order, refusals, what the topics hold."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.events import TOPICS
from shared.kafka import KafkaPublisher, KafkaUrl, PartitionMismatch, ensure_topics
from shared.kafka.publisher import MAX_BATCH_BYTES
from shared.kafka.topics import DEAD_LETTERS, INBOX
from shared.progress import progress_topic
from shared.relay import Record
from shared.relay.ports import BrokerUnavailable
from shared.testing.kafka_log import producing, read_partition

CUSTOMERS, DEALS = TOPICS["customer"]
SMALL = 3_000
"""`max.message.bytes` of a topic that refuses large records."""


async def make_topics(url: KafkaUrl, *, largest: int = 1_048_588, partitions: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=url.bootstrap)
    await admin.start()
    try:
        limit = {"max.message.bytes": str(largest)}
        names = [url.topic(name) for name in (CUSTOMERS, DEALS)]
        await admin.create_topics(
            [NewTopic(name, partitions, 1, topic_configs=limit) for name in names]
        )
    finally:
        await admin.close()


@asynccontextmanager
async def publishing(url: KafkaUrl, partitions: int = 1) -> AsyncIterator[KafkaPublisher]:
    publisher = KafkaPublisher(url, "customer", partitions)
    try:
        yield publisher
    finally:
        await publisher.close()


@pytest.fixture
def url(kafka_url: str, kafka_prefix: str) -> KafkaUrl:
    """Kafka with topics of this test alone."""
    return KafkaUrl(kafka_url, kafka_prefix)


def record(url: KafkaUrl, stream: str, version: int, size: int = 10, partition: int = 0) -> Record:
    value = (
        f'{{"type":"x","stream":"{stream}","streamversion":{version},'
        f'"time":"2017-12-01T00:00:00Z","recordedtime":"2017-12-01T00:00:00Z",'
        f'"data":"{"x" * size}"}}'
    )
    topic = url.topic(CUSTOMERS)
    return Record(topic, partition, stream.encode(), value.encode(), stream, version)


async def values(url: KafkaUrl, partition: int = 0) -> Sequence[bytes | None]:
    place = TopicPartition(url.topic(CUSTOMERS), partition)
    return [found.value for found in await read_partition(url.bootstrap, place)]


async def test_records_lie_in_their_partition_in_the_order_in_which_they_were_given(
    url: KafkaUrl,
) -> None:
    await make_topics(url, partitions=2)
    sent = [record(url, f"s{n % 7}", n, 400 + n, partition=n % 2) for n in range(3_000)]
    async with publishing(url, partitions=2) as publisher:
        first = await publisher.publish(sent[:2_000])
        second = await publisher.publish(sent[2_000:])
        ends = await publisher.end_offsets()
    topic = url.topic(CUSTOMERS)
    # Half of the records are in each partition.
    assert first.offsets == {(topic, 0): 1_000, (topic, 1): 1_000}
    assert second.offsets == {(topic, 0): 1_500, (topic, 1): 1_500}
    assert ends == {**second.offsets, (url.topic(DEALS), 0): 0, (url.topic(DEALS), 1): 0}
    for partition in (0, 1):
        expected = [each.value for each in sent if each.partition == partition]
        assert await values(url, partition) == expected


async def test_a_record_too_large_for_the_broker_stops_its_stream_and_nothing_else(
    url: KafkaUrl,
) -> None:
    await make_topics(url, largest=SMALL)
    sent = [
        record(url, "a", 1),
        record(url, "b", 1, 2 * SMALL),
        record(url, "c", 1),
        record(url, "b", 2),
        record(url, "a", 2),
        record(url, "d", 1, 2 * SMALL),
        record(url, "c", 2),
    ]
    async with publishing(url) as publisher:
        published = await publisher.publish(sent)
        assert [(each.stream, each.seq) for each in published.refused] == [("b", 1), ("d", 1)]
        # a1, c1, a2, c2.
        assert published.offsets == {(url.topic(CUSTOMERS), 0): 4}
        # It goes on as if nothing had been, and refuses again.
        again = await publisher.publish([record(url, "b", 1, 2 * SMALL), record(url, "a", 3)])
        assert [(each.stream, each.seq) for each in again.refused] == [("b", 1)]
        assert again.offsets == {(url.topic(CUSTOMERS), 0): 5}
    taken = [*(each for each in sent if each.stream in "ac"), record(url, "a", 3)]
    assert await values(url) == [each.value for each in taken]


async def test_a_refusal_in_a_later_batch_of_a_partition_keeps_the_order_around_it(
    url: KafkaUrl,
) -> None:
    await make_topics(url, partitions=2)
    # The producer puts less than MAX_BATCH_BYTES in a batch, so each of these fills half of one;
    # the broker takes a megabyte and a little more.
    half = MAX_BATCH_BYTES // 2
    sent = [record(url, f"s{n}", 1, half) for n in range(5)]
    sent.insert(3, record(url, "large", 1, 1_200_000))
    sent += [record(url, "large", 2), record(url, "s0", 2), record(url, "other", 1, partition=1)]
    async with publishing(url, partitions=2) as publisher:
        published = await publisher.publish(sent)
    assert [(each.stream, each.seq) for each in published.refused] == [("large", 1)]
    taken = [each.value for each in sent if each.stream != "large" and each.partition == 0]
    assert await values(url) == taken
    assert len(await values(url, 1)) == 1


async def test_published_is_the_highest_version_per_stream_and_partition(url: KafkaUrl) -> None:
    await make_topics(url, partitions=2)
    async with publishing(url, partitions=2) as publisher:
        assert await publisher.published() == {}
        await publisher.publish(
            [
                record(url, "a", 1),
                record(url, "a", 2),
                record(url, "a", 1),
                record(url, "import-x", 2, partition=0),
                record(url, "import-x", 2, partition=1),
            ]
        )
        async with producing(url.bootstrap) as producer:
            for text in (b"no JSON", b"\xff\xfe", None, b"[]"):
                await producer.send_and_wait(url.topic(CUSTOMERS), text, key=b"k", partition=0)
        assert await publisher.published() == {
            ("a", 0): 2,
            ("import-x", 0): 2,
            ("import-x", 1): 2,
        }


async def test_a_broker_that_is_not_there_is_said_to_be_away() -> None:
    nowhere = KafkaUrl("127.0.0.1:1", "x-")
    async with publishing(nowhere) as publisher:
        with pytest.raises(BrokerUnavailable):
            await publisher.publish([record(nowhere, "a", 1)])
        with pytest.raises(BrokerUnavailable):
            await publisher.end_offsets()
        with pytest.raises(BrokerUnavailable):
            await publisher.published()
        with pytest.raises(BrokerUnavailable):
            await publisher.progress(b"{}")


async def test_topics_are_made_once_and_their_partitions_checked(url: KafkaUrl) -> None:
    await ensure_topics(url, 2)
    await ensure_topics(url, 2)
    with pytest.raises(PartitionMismatch, match="has 2 partitions, the setting says 3"):
        await ensure_topics(url, 3)
    admin = AIOKafkaAdminClient(bootstrap_servers=url.bootstrap)
    await admin.start()
    try:
        made = {name for name in await admin.list_topics() if name.startswith(url.prefix)}
    finally:
        await admin.close()
    services = {progress_topic(service) for service in TOPICS}
    topics = {topic for names in TOPICS.values() for topic in names}
    assert made == {url.topic(name) for name in services | topics | {INBOX, DEAD_LETTERS}}
