"""Dead letters in a topic of one partition: the value as it was, the reason in headers.

One partition, so that they have one order and a place each. The topic takes records that are larger
than the inbox's, as the reason comes on top.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from shared.dead_letters import Buried, DeadLetter, Replayed
from shared.decider import FieldError
from shared.kafka.connection import KAFKA_AWAY, KafkaUrl, stop
from shared.relay.ports import BrokerUnavailable

MAX_BYTES = 4 * 1024 * 1024
"""More than any record of the two topics."""
READ_AT_ONCE = 500
PATIENCE_MS = 5_000
ORIGIN, REASON = "origin", "reason"


class _Origin(msgspec.Struct, omit_defaults=True):
    """Where it was; `nothing`: it had neither key nor value, which no producer of ours sends."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    nothing: bool = False


class _Field(msgspec.Struct):
    field: str
    message: str


class _Reason(msgspec.Struct, omit_defaults=True):
    type: str
    title: str
    errors: list[_Field] = msgspec.field(default_factory=list)


_NOBODY_KNOWS = _Reason("unknown", "Somebody else has put it here.")


@dataclass(slots=True)
class KafkaDeadLetters:
    """Implements `DeadLetters`; `inbox` and `dead` are the topics without the chain's prefix."""

    url: KafkaUrl
    inbox: str
    dead: str
    _producer: AIOKafkaProducer | None = field(default=None, repr=False)

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Write them, and wait for every ack."""
        topic = self.url.topic(self.dead)
        await self._send(
            [
                {
                    "topic": topic,
                    "key": each.key,
                    "value": b"" if _nothing(each) else each.value,
                    "headers": _headers(each),
                }
                for each in letters
            ]
        )

    async def listed(self, start: int, limit: int) -> Sequence[Buried]:
        """Read so many of them."""
        async with self._reading(start) as reading:
            found: list[Buried] = []
            async for records in reading:
                found += [Buried(record.offset, _letter(record)) for record in records]
                if len(found) >= limit:
                    break
            return found[:limit]

    async def replay(self, start: int) -> Replayed:
        """Read on to the end as it is now, and write all of it to the inbox."""
        topic, count, following = self.url.topic(self.inbox), 0, start
        async with self._reading(start) as reading:
            async for records in reading:
                await self._send(
                    [{"topic": topic, "key": each.key, "value": each.value} for each in records]
                )
                count += len(records)
                following = records[-1].offset + 1
        return Replayed(count, following)

    async def close(self) -> None:
        """Let go of the connections."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop(producer)

    async def _send(self, records: Sequence[dict[str, object]]) -> None:
        try:
            producer = await self._started()
            sent = [await producer.send(**record) for record in records]
            for each in sent:
                await each
        except KAFKA_AWAY as failure:
            await self._discard()
            raise BrokerUnavailable(type(failure).__name__) from failure

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.url.bootstrap,
                enable_idempotence=True,
                acks="all",
                max_request_size=MAX_BYTES,
            )
            try:
                await producer.start()
            except BaseException:
                await stop(producer)
                raise
            self._producer = producer
        return self._producer

    async def _discard(self) -> None:
        try:
            await self.close()
        except KAFKA_AWAY:
            return

    @asynccontextmanager
    async def _reading(self, start: int) -> AsyncIterator[AsyncIterator[list[ConsumerRecord]]]:
        """The dead letters from a place up to the end as it is now, in batches."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.url.bootstrap,
            group_id=None,
            enable_auto_commit=False,
            max_partition_fetch_bytes=MAX_BYTES,
        )
        try:
            await consumer.start()
            yield self._batches(consumer, start)
        except (KafkaError, OSError) as failure:
            raise BrokerUnavailable(type(failure).__name__) from failure
        finally:
            await stop(consumer)

    async def _batches(
        self, consumer: AIOKafkaConsumer, start: int
    ) -> AsyncIterator[list[ConsumerRecord]]:
        place = TopicPartition(self.url.topic(self.dead), 0)
        consumer.assign([place])
        first = (await consumer.beginning_offsets([place]))[place]
        end = (await consumer.end_offsets([place]))[place]
        # Past its end the topic was made anew: its places count from the beginning again.
        position = first if start > end else max(start, first)
        consumer.seek(place, position)
        while position < end:
            polled = await consumer.getmany(place, timeout_ms=PATIENCE_MS, max_records=READ_AT_ONCE)
            records = [each for each in polled.get(place, ()) if each.offset < end]
            position = await consumer.position(place)
            if records:
                yield records


def _nothing(letter: DeadLetter) -> bool:
    return letter.key is None and letter.value is None


def _headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    place = (letter.topic, letter.partition, letter.offset, letter.timestamp)
    origin = _Origin(*place, nothing=_nothing(letter))
    errors = [_Field(each.field, each.message) for each in letter.errors]
    reason = _Reason(letter.reason, letter.title, errors)
    return [(ORIGIN, msgspec.json.encode(origin)), (REASON, msgspec.json.encode(reason))]


def _letter(record: ConsumerRecord) -> DeadLetter:
    headers = {name: value or b"" for name, value in record.headers}
    try:
        origin = msgspec.json.decode(headers[ORIGIN], type=_Origin)
        reason = msgspec.json.decode(headers[REASON], type=_Reason)
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError):
        origin = _Origin(record.topic, record.partition, record.offset, record.timestamp)
        reason = _NOBODY_KNOWS
    return DeadLetter(
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        timestamp=origin.timestamp,
        key=record.key,
        value=None if origin.nothing else record.value,
        reason=reason.type,
        title=reason.title,
        errors=tuple(FieldError(each.field, each.message) for each in reason.errors),
    )
