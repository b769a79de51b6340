"""The relay's producer: idempotent, all acks, and in order even across a producer's death.

A partition has one batch under way at a time. aiokafka lets a batch that waited too long for a
leader expire and sends the next one all the same; with nothing queued behind it, nothing can
overtake it. After any failure the producer is thrown away and the records are sent again: readers
pass over what they have.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordTooLargeError

from shared.envelope import decode_light
from shared.events import TOPICS
from shared.kafka.connection import KafkaUrl
from shared.progress import progress_topic
from shared.relay.ports import BrokerUnavailable, Place, Published, Record

MAX_BATCH_BYTES = 950_000
REFUSALS = (MessageSizeTooLargeError, RecordTooLargeError)


@dataclass(slots=True)
class KafkaPublisher:
    """Publishes for one service; implements `Publisher`."""

    url: KafkaUrl
    service: str
    partitions: int
    _producer: AIOKafkaProducer | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def topics(self) -> Sequence[str]:
        """The full names of the service's topics."""
        return [self.url.topic(topic) for topic in TOPICS[self.service]]

    def _places(self) -> list[TopicPartition]:
        return [
            TopicPartition(topic, partition)
            for topic in self.topics
            for partition in range(self.partitions)
        ]

    async def publish(self, records: Sequence[Record]) -> Published:
        """Send the records, those of a partition in their order, and wait for every ack."""
        queues: dict[Place, list[Record]] = defaultdict(list)
        for record in records:
            queues[(record.topic, record.partition)].append(record)
        offsets: dict[Place, int] = {}
        refused: list[Record] = []
        try:
            producer = await self._started()
            results = await asyncio.gather(
                *(self._drain(producer, place, queue) for place, queue in queues.items()),
                return_exceptions=True,
            )
        except (KafkaError, OSError) as failure:
            await self._discard()
            raise BrokerUnavailable(type(failure).__name__) from failure
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await self._discard()
            if isinstance(failures[0], KafkaError | OSError):
                raise BrokerUnavailable(type(failures[0]).__name__) from failures[0]
            raise failures[0]
        for place, result in zip(queues, results, strict=True):
            if not isinstance(result, BaseException):
                offset, turned_away = result
                if offset is not None:
                    offsets[place] = offset
                refused += turned_away
        return Published(offsets, refused)

    async def _drain(
        self, producer: AIOKafkaProducer, place: Place, queue: Sequence[Record]
    ) -> tuple[int | None, list[Record]]:
        """Send one partition's records; gives its next offset and what was refused."""
        next_offset: int | None = None
        refused: list[Record] = []
        stopped: set[str] = set()
        start = 0
        while start < len(queue):
            end = await self._fill(producer, place, queue, start)
            try:
                next_offset = await end.sent
            except REFUSALS:
                for record in queue[start : end.index]:
                    if record.stream in stopped:
                        continue
                    try:
                        metadata = await producer.send_and_wait(
                            place[0], record.value, key=record.key, partition=place[1]
                        )
                    except REFUSALS:
                        stopped.add(record.stream)
                        refused.append(record)
                    else:
                        next_offset = metadata.offset + 1
            start = end.index
            if stopped:
                queue = [*queue[:start], *(r for r in queue[start:] if r.stream not in stopped)]
        return next_offset, refused

    async def _fill(
        self, producer: AIOKafkaProducer, place: Place, queue: Sequence[Record], start: int
    ) -> "_Batch":
        """Send as many records from `start` on as one batch holds, at least one."""
        builder = producer.create_batch()
        index = start
        while index < len(queue):
            record = queue[index]
            if builder.append(key=record.key, value=record.value, timestamp=None) is None:
                break
            index += 1
        builder.close()
        future = await producer.send_batch(builder, place[0], partition=place[1])
        return _Batch(index, asyncio.ensure_future(_next_offset(future, index - start)))

    async def end_offsets(self) -> Mapping[Place, int]:
        """The next offset of every partition of the service's topics."""
        async with _reader(self.url) as consumer:
            places = self._places()
            ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
            return {(place.topic, place.partition): end for place, end in ends.items()}

    async def published(self) -> Mapping[tuple[str, int], int]:
        """From the topics themselves: per (stream, partition) the highest version there."""
        highest: dict[tuple[str, int], int] = {}
        async with _reader(self.url) as consumer:
            places = self._places()
            ends = await consumer.end_offsets(places)
            open_places = {place for place in places if ends[place] > 0}
            consumer.assign(sorted(open_places))
            if open_places:
                await consumer.seek_to_beginning()
            while open_places:
                for place, records in (await consumer.getmany(timeout_ms=500)).items():
                    for record in records:
                        _note_version(highest, record.value, place.partition)
                for place in list(open_places):
                    if await consumer.position(place) >= ends[place]:
                        open_places.discard(place)
        return highest

    async def progress(self, value: bytes) -> None:
        """Write the service's progress record; one that fails is followed by the next."""
        try:
            producer = await self._started()
            await producer.send_and_wait(
                self.url.topic(progress_topic(self.service)), value, key=self.service.encode()
            )
        except (KafkaError, OSError) as failure:
            await self._discard()
            raise BrokerUnavailable(type(failure).__name__) from failure

    async def close(self) -> None:
        """Stop the producer."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def _started(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self.url.bootstrap,
                    enable_idempotence=True,
                    acks="all",
                    max_batch_size=MAX_BATCH_BYTES,
                    max_request_size=2 * MAX_BATCH_BYTES,
                    linger_ms=0,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _discard(self) -> None:
        """Forget the producer; closing it must not wait for what it could not send."""
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                async with asyncio.timeout(1):
                    await producer.stop()
            except (TimeoutError, KafkaError, OSError):
                return


@dataclass(slots=True)
class _Batch:
    """A batch under way: the index after its last record, and its next offset once acked."""

    index: int
    sent: "asyncio.Future[int]"


async def _next_offset(future: "asyncio.Future[object]", count: int) -> int:
    metadata = await future
    offset: int = getattr(metadata, "offset")  # noqa: B009 - aiokafka does not type it
    return offset + count


def _note_version(highest: dict[tuple[str, int], int], value: bytes, partition: int) -> None:
    try:
        light = decode_light(value)
    except msgspec.DecodeError:
        return
    place = (light.stream, partition)
    highest[place] = max(highest.get(place, 0), light.streamversion)


class _reader:  # noqa: N801 - reads as a phrase where it is used
    """A consumer without a group, for as long as the block lasts."""

    def __init__(self, url: KafkaUrl) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=url.bootstrap, enable_auto_commit=False, group_id=None
        )

    async def __aenter__(self) -> AIOKafkaConsumer:
        """Connect. Raises `BrokerUnavailable`."""
        try:
            await self._consumer.start()
        except (KafkaError, OSError) as failure:
            await self._consumer.stop()
            raise BrokerUnavailable(type(failure).__name__) from failure
        return self._consumer

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, _: object
    ) -> None:
        """Disconnect; what Kafka raised inside becomes `BrokerUnavailable`."""
        await self._consumer.stop()
        if kind is not None and issubclass(kind, KafkaError):
            raise BrokerUnavailable(kind.__name__) from value
