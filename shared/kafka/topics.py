"""Topics: made once, with the same number of partitions everywhere, and kept for ever.

The number is the width of the whole installation: a worker owns partition *n* of every topic it
reads, which holds only while all topics have as many. So it is checked at start, and never grown.
The inbox alone is no log: it is kept for days.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.events import TOPICS
from shared.kafka.connection import KafkaUrl
from shared.progress import progress_topic

EVENT_TOPIC = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
PROGRESS_TOPIC = {"cleanup.policy": "compact", "segment.ms": "600000"}
INBOX = "interaction.inbox.v1"
"""Tills write to it; kept for some days, as values are in the clear there."""
DEAD_LETTERS = "interaction.inbox.dead.v1"
"""What could not be taken out of it; of one partition, so that letters have one order."""
DAY_MS = 24 * 3600 * 1000
LARGER_BYTES = 2 * 1024 * 1024
TRIES = 60


@dataclass(frozen=True, slots=True)
class KeptDays:
    """For how many days records are kept in the inbox, and among its dead letters."""

    inbox: int = 7
    dead: int = 30


class PartitionMismatch(Exception):  # noqa: N818 - names what is wrong
    """A topic has another number of partitions than the installation."""


async def ensure_topics(
    url: KafkaUrl, partitions: int, replicas: int = 1, kept: KeptDays = KeptDays()
) -> None:
    """Make the topics of all services that are not there yet, and check those that are.

    Every service makes all of them, so that each can start before the others. Waits for the
    broker up to a minute. Raises `PartitionMismatch`.
    """
    events = [topic for topics in TOPICS.values() for topic in topics]
    configs: dict[str, tuple[int, dict[str, str]]] = {
        **dict.fromkeys(events, (partitions, EVENT_TOPIC)),
        **{progress_topic(service): (1, PROGRESS_TOPIC) for service in TOPICS},
        INBOX: (partitions, _kept(kept.inbox)),
        DEAD_LETTERS: (1, _kept(kept.dead) | {"max.message.bytes": str(LARGER_BYTES)}),
    }
    wanted = {url.topic(topic): count for topic, (count, _) in configs.items()}
    new = [
        NewTopic(url.topic(topic), count, replicas, topic_configs=config)
        for topic, (count, config) in configs.items()
    ]
    for attempt in range(TRIES):
        try:
            await _create(url, new)
            await _check(url, wanted)
        except (KafkaError, OSError):
            if attempt == TRIES - 1:
                raise
            await asyncio.sleep(1)
        else:
            return


def _kept(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)}


async def _create(url: KafkaUrl, topics: Sequence[NewTopic]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=url.bootstrap)
    await admin.start()
    try:
        reply = await admin.create_topics(list(topics))
        for _topic, code, *_rest in reply.topic_errors:
            failure = for_code(code)
            if code and failure is not TopicAlreadyExistsError:
                raise failure
    finally:
        await admin.close()


async def _check(url: KafkaUrl, wanted: dict[str, int]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=url.bootstrap)
    await admin.start()
    try:
        for topic in await admin.describe_topics(list(wanted)):
            count = len(topic["partitions"])
            if count != wanted[topic["topic"]]:
                message = (
                    f"topic {topic['topic']} has {count} partitions, the setting says "
                    f"{wanted[topic['topic']]}: set REGULARS_PARTITIONS to what the topics have"
                )
                if count == 0:
                    raise KafkaError(message)
                raise PartitionMismatch(message)
    finally:
        await admin.close()
