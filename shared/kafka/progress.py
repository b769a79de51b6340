"""Reading the progress records, and how far a group lags behind them."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.events import TOPICS
from shared.kafka.connection import KAFKA_AWAY, KafkaUrl, stop
from shared.progress import Progress, decode_progress, progress_topic
from shared.relay.ports import BrokerUnavailable

RETRY_SECONDS = 0.5
log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class ProgressReader:
    """The newest progress record of each service, kept current by `run`."""

    url: KafkaUrl
    services: Iterable[str] = tuple(TOPICS)
    latest: dict[str, Progress] = field(default_factory=dict)
    connected: bool = False

    async def run(self) -> None:
        """Follow the progress topics until cancelled; reconnect by itself."""
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as failure:
                log.warning("progress unread", reason=type(failure).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    def of_topics(self, topics: Iterable[str]) -> list[Progress | None]:
        """The records of the services that publish the topics (short names); None for none yet."""
        wanted = set(topics)
        return [self.latest.get(name) for name in self.services if wanted & set(TOPICS[name])]

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.url.bootstrap,
            enable_auto_commit=False,
            group_id=None,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            places = [
                TopicPartition(self.url.topic(progress_topic(name)), 0) for name in self.services
            ]
            consumer.assign(places)
            await consumer.seek_to_beginning()
            self.connected = True
            while True:
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    self._take(records[-1].value)
        finally:
            self.connected = False
            await stop(consumer)

    def _take(self, value: bytes | None) -> None:
        try:
            # Anybody may delete a compacted record: a tombstone has no value.
            progress = decode_progress(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            log.warning("unreadable progress record")
            return
        known = self.latest.get(progress.service)
        # A relay that was frozen may write an old record late.
        if known is None or progress.system >= known.system:
            self.latest[progress.service] = progress


async def group_lag(
    url: KafkaUrl, group: str, topics: Iterable[str], progress: Iterable[Progress | None]
) -> int:
    """Events below the progress offsets that the group has not committed yet.

    No relay tells of topics that others write to: there all that is in them counts. Raises
    `BrokerUnavailable`.
    """
    wanted = {url.topic(topic) for topic in topics}
    ends = [
        (topic, partition, end)
        for record in progress
        if record is not None
        for topic, ends in record.offsets.items()
        if topic in wanted
        for partition, end in ends.items()
    ]
    foreign = wanted - {url.topic(topic) for published in TOPICS.values() for topic in published}
    try:
        offsets = await _committed(url, group)
        if foreign:
            ends += await _ends(url, foreign)
    except KAFKA_AWAY as failure:
        raise BrokerUnavailable(type(failure).__name__) from failure
    committed = {
        (place.topic, place.partition): getattr(entry, "offset", 0)
        for place, entry in offsets.items()
    }
    return sum(
        max(0, end - max(0, committed.get((topic, partition), 0))) for topic, partition, end in ends
    )


async def _ends(url: KafkaUrl, topics: Iterable[str]) -> list[tuple[str, int, int]]:
    """Topic, partition and next offset of all partitions of the topics (full names)."""
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=url.bootstrap, enable_auto_commit=False, group_id=None
    )
    try:
        await consumer.start()
        ends = await consumer.end_offsets(consumer.assignment())
    finally:
        await stop(consumer)
    return [(place.topic, place.partition, end) for place, end in ends.items()]


async def _committed(url: KafkaUrl, group: str) -> Mapping[TopicPartition, object]:
    admin = AIOKafkaAdminClient(bootstrap_servers=url.bootstrap)
    try:
        await admin.start()
        offsets: Mapping[TopicPartition, object] = await admin.list_consumer_group_offsets(
            url.topic(group)
        )
    finally:
        await admin.close()
    return offsets
