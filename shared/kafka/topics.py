"""Topics: made once, with the same number of partitions everywhere, and kept for ever.

The number is the width of the whole installation: a worker owns partition *n* of every topic it
reads, which holds only while all topics have as many. So it is checked at start, and never grown.
"""

import asyncio
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.events import TOPICS
from shared.kafka.connection import KafkaUrl
from shared.progress import progress_topic

EVENT_TOPIC = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
PROGRESS_TOPIC = {"cleanup.policy": "compact", "segment.ms": "600000"}
TRIES = 60


class PartitionMismatch(Exception):  # noqa: N818 - names what is wrong
    """A topic has another number of partitions than the installation."""


async def ensure_topics(url: KafkaUrl, partitions: int, replicas: int = 1) -> None:
    """Make the topics of all services that are not there yet, and check those that are.

    Every service makes all of them, so that each can start before the others. Waits for the
    broker up to a minute. Raises `PartitionMismatch`.
    """
    wanted = {url.topic(topic): partitions for topics in TOPICS.values() for topic in topics}
    progress = {url.topic(progress_topic(service)): 1 for service in TOPICS}
    new = [
        NewTopic(name, count, replicas, topic_configs=EVENT_TOPIC) for name, count in wanted.items()
    ] + [NewTopic(name, 1, replicas, topic_configs=PROGRESS_TOPIC) for name in progress]
    for attempt in range(TRIES):
        try:
            await _create(url, new)
            await _check(url, wanted | progress)
        except (KafkaError, OSError):
            if attempt == TRIES - 1:
                raise
            await asyncio.sleep(1)
        else:
            return


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
