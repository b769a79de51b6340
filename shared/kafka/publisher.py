"""The relay's producer: idempotent, all acks, and in order even across a producer's death.

A partition has one batch under way at a time. aiokafka lets a batch that waited too long for a
leader expire and sends the next one all the same; with nothing queued behind it, nothing can
overtake it. After any failure the producer is thrown away and the records are sent again: readers
pass over what they have. So it is after a refusal: aiokafka counts the refused records into its
sequence numbers, and the broker would take nothing more of that partition from it.
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
from shared.kafka.connection import KafkaUrl, stop
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
        drained = {
            place: result
            for place, result in zip(queues, results, strict=True)
            if not isinstance(result, BaseException)
        }
        if any(result.torn for result in drained.values()):
            await self._discard()
        return Published(
            {place: result.end for place, result in drained.items() if result.end is not None},
            tuple(record for result in drained.values() for record in result.refused),
        )

    async def _drain(
        self, producer: AIOKafkaProducer, place: Place, queue: Sequence[Record]
    ) -> "_Drained":
        """Send one partition's records; a refused batch is halved until the record is found."""
        drained = _Drained()
        most = len(queue)
        own: AIOKafkaProducer | None = None
        try:
            while queue:
                batch = await self._fill(own or producer, place, queue[:most])
                try:
                    drained.end = await batch.sent
                except REFUSALS:
                    own = await self._replaced(own)
                    drained.torn = True
                    most = max(1, batch.count // 2)
                    if batch.count > 1:
                        continue
                    drained.refused.append(queue[0])
                    queue = [record for record in queue if record.stream != queue[0].stream]
                    most = len(queue)
                else:
                    queue = queue[batch.count :]
        finally:
            await _stop(own)
        return drained

    async def _fill(
        self, producer: AIOKafkaProducer, place: Place, queue: Sequence[Record]
    ) -> "_Batch":
        """Send as many of the records as one batch holds, at least one."""
        builder = producer.create_batch()
        count = 0
        for record in queue:
            if builder.append(key=record.key, value=record.value, timestamp=None) is None:
                break
            count += 1
        builder.close()
        future = await producer.send_batch(builder, place[0], partition=place[1])
        return _Batch(count, asyncio.ensure_future(_next_offset(future, count)))

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
                        _note_version(highest, record.value or b"", place.partition)
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
            await stop(producer)

    async def _started(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                self._producer = await self._start()
            return self._producer

    async def _start(self) -> AIOKafkaProducer:
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
            await stop(producer)
            raise
        return producer

    async def _replaced(self, producer: AIOKafkaProducer | None) -> AIOKafkaProducer:
        """A new producer instead of one that a batch was refused from."""
        await _stop(producer)
        return await self._start()

    async def _discard(self) -> None:
        """Forget the producer."""
        producer, self._producer = self._producer, None
        await _stop(producer)


async def _stop(producer: AIOKafkaProducer | None) -> None:
    """Close it; that must not wait for what it could not send."""
    if producer is not None:
        try:
            async with asyncio.timeout(1):
                await stop(producer, patience=0)
        except (TimeoutError, KafkaError, OSError):
            return


@dataclass(slots=True)
class _Drained:
    """What became of one partition's records; `torn`: the producer is of no more use to it."""

    end: int | None = None
    refused: list[Record] = field(default_factory=list)
    torn: bool = False


@dataclass(slots=True)
class _Batch:
    """A batch under way: the number of its records, and its next offset once acked."""

    count: int
    sent: "asyncio.Future[int]"


async def _next_offset(future: "asyncio.Future[object]", count: int) -> int:
    metadata = await future
    offset: int = getattr(metadata, "offset")  # noqa: B009 - aiokafka does not type it
    return offset + count


def _note_version(highest: dict[tuple[str, int], int], value: bytes, partition: int) -> None:
    try:
        light = decode_light(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
            await stop(self._consumer)
            raise BrokerUnavailable(type(failure).__name__) from failure
        return self._consumer

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, _: object
    ) -> None:
        """Disconnect; what Kafka raised inside becomes `BrokerUnavailable`."""
        await stop(self._consumer)
        if kind is not None and issubclass(kind, KafkaError):
            raise BrokerUnavailable(kind.__name__) from value
