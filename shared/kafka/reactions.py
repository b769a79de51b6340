"""Reactions: an event becomes commands. One way to subscribe, because the defaults lose events.

Batches of raw records, manual acknowledgement, from the earliest offset, a parser that touches
neither headers nor body, retry in place. FastStream skips a batch whose handler raises, so the
handler here never does: it goes on trying until the commands are durable, and only then
acknowledges. `docs/architecture/reactions.md` tells what was measured.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog
from aiokafka import ConsumerRecord
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage, KafkaRouter

from shared import telemetry
from shared.eventstore import StoreUnavailable
from shared.kafka.connection import KAFKA_AWAY, stop
from shared.records import RawRecord
from shared.relay.ports import BrokerUnavailable

MAX_RECORDS = 500
BATCH_TIMEOUT_MS = 10
"""FastStream sleeps this long again after an empty poll; its default of 200 shows in latency."""
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0
CONNECT_SECONDS = 0.5
START_SECONDS = 30.0
"""For a start that is under way on a machine that has much else to do."""

log = structlog.stdlib.get_logger(__name__)


Parser = Callable[..., Awaitable[Any]]
Reaction = Callable[[Sequence[RawRecord]], Awaitable[None]]


async def _parse(message: tuple[ConsumerRecord, ...], original: Parser) -> KafkaMessage:
    """A message around the records; their headers may be anything and are not looked at.

    The library's own parser, which knows the consumer, sees one record without headers or value.
    """
    parsed: KafkaMessage = await original((replace(message[-1], headers=(), value=b""),))
    parsed.raw_message = message
    return parsed


async def _decode(message: KafkaMessage, _original: Parser) -> bytes:
    """Nothing: the reaction decodes what it needs of the raw records."""
    return message.body


def subscribe(
    router: KafkaBroker | KafkaRouter,
    *topics: str,
    group: str,
    react: Reaction,
    title: str,
    description: str,
    persistent: bool = True,
) -> Any:  # noqa: ANN401 - FastStream's subscriber types differ by options
    """Register a reaction; gives FastStream's subscriber.

    `topics` and `group` are full names. `react` gets the records of one poll, of every partition
    in order, and returns when all that follows from them is durable. It is called again with the
    same records when it raises, for ever: a record that can never be handled must be dealt with
    inside (parked, or sent to a dead-letter topic).
    """
    subscriber: Any = router.subscriber(
        *topics,
        batch=True,
        max_records=MAX_RECORDS,
        batch_timeout_ms=BATCH_TIMEOUT_MS,
        group_id=group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
        partition_assignment_strategy=(RangePartitionAssignor,),
        parser=_parse,
        decoder=_decode,
        title=title,
        description=description,
        persistent=persistent,
    )

    async def handle(message: KafkaMessage) -> None:
        records = message.raw_message if isinstance(message.raw_message, tuple) else ()
        await until_done(react, records, group)
        await message.ack()

    subscriber(handle)
    return subscriber


async def start(broker: KafkaBroker) -> None:
    """Start what is subscribed, again while Kafka is away.

    A start that is under way is let finish before a cancellation goes on: a consumer that is cut
    off while it connects can be stopped by nobody, and leaves its sockets open.
    """
    while True:
        starting = asyncio.ensure_future(broker.start())
        try:
            await asyncio.shield(starting)
        except KAFKA_AWAY as failure:
            log.warning("reactions wait", reason=type(failure).__name__)
            await asyncio.sleep(CONNECT_SECONDS)
        except asyncio.CancelledError:
            await asyncio.wait([starting], timeout=START_SECONDS)
            starting.cancel()
            raise
        else:
            return


async def react_until_cancelled(broker: KafkaBroker) -> None:
    """Run what is subscribed; on the way out let the batches in hand finish."""
    try:
        await start(broker)
        await asyncio.Event().wait()
    finally:
        await stop(broker)


async def until_done(react: Reaction, records: Sequence[RawRecord], group: str) -> None:
    """Call the reaction until it returns, waiting longer each time."""
    delay = FIRST_DELAY_SECONDS
    while True:
        try:
            await react(records)
        except (StoreUnavailable, BrokerUnavailable) as failure:
            log.warning("reaction waits", group=group, reason=str(failure))
        except Exception:
            log.exception("reaction failed", group=group)
        else:
            return
        telemetry.BATCH_RETRIES.labels(group).inc()
        await asyncio.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY_SECONDS)
