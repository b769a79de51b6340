"""How far a consumer group has come, as any process can see it.

The worker that has to know whether something can still be missing is not always the one that reads
the partition in question, so it asks what the group has committed, which never runs ahead of what
is durably applied. W is then the newest progress record whose offsets the group has passed.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.events import TOPICS
from shared.kafka.connection import KafkaUrl
from shared.kafka.progress import ProgressReader
from shared.progress import Progress, Reach

POLL_SECONDS = 0.5
KEPT_RECORDS = 120
"""A reader that lags stays behind the newest record for ever, so older ones count too."""

Positions = Mapping[tuple[str, int], int]
log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class GroupReach:
    """W of one group per topic and partition, kept current by `run`; it never goes back.

    `group` and `topics` are short names.
    """

    url: KafkaUrl
    group: str
    topics: Sequence[str]
    partitions: int
    progress: ProgressReader
    _records: dict[str, deque[Progress]] = field(default_factory=dict)
    _reached: dict[tuple[str, int], Reach] = field(default_factory=dict)
    _admin: AIOKafkaAdminClient | None = None

    def of(self, partition: int, topics: Sequence[str]) -> Reach | None:
        """The lowest W over the topics (short names) in a partition; None while one lacks."""
        found = [self._reached.get((topic, partition)) for topic in topics]
        known = [each for each in found if each is not None]
        if len(known) < len(found):
            return None
        return min(known, key=lambda each: each.system)

    def passed(self, moment: datetime, topics: Sequence[str]) -> bool:
        """Whether all that was recorded up to the moment (system time) is applied everywhere."""
        reaches = (self.of(partition, topics) for partition in range(self.partitions))
        return all(each is not None and each.system > moment for each in reaches)

    def everywhere(self, topics: Sequence[str]) -> datetime | None:
        """The lowest W over the topics and all partitions, by the chain's clock; None: unknown."""
        reaches = [self.of(partition, topics) for partition in range(self.partitions)]
        known = [each.chain for each in reaches if each is not None]
        return min(known) if len(known) == len(reaches) else None

    async def run(self) -> None:
        """Follow until cancelled; while Kafka is away nothing is reached."""
        try:
            while True:
                try:
                    await self.refresh()
                except (KafkaError, OSError) as failure:
                    log.warning("offsets unread", group=self.group, reason=type(failure).__name__)
                    await self._close()
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await self._close()

    async def refresh(self) -> None:
        """Look once: first at the progress, then at the offsets, so that these can pass it."""
        for record in self.progress.of_topics(self.topics):
            if record is not None:
                self.keep(record)
        self.advance(await self._positions())

    def advance(self, positions: Positions) -> None:
        """Note how far the group has come; `positions` are next offsets by full topic name."""
        for topic in self.topics:
            records = self._records_of(topic)
            for partition in range(self.partitions):
                reached = _newest(records, self.url.topic(topic), partition, positions)
                known = self._reached.get((topic, partition))
                if reached is not None and (known is None or reached.system > known.system):
                    self._reached[(topic, partition)] = reached

    def keep(self, record: Progress) -> None:
        """Remember a progress record, unless a newer one is known."""
        kept = self._records.setdefault(record.service, deque(maxlen=KEPT_RECORDS))
        if not kept or record.system > kept[-1].system:
            kept.append(record)

    def _records_of(self, topic: str) -> Sequence[Progress]:
        """The records of the topic's service, newest first."""
        for service, kept in self._records.items():
            if topic in TOPICS[service]:
                return list(reversed(kept))
        return ()

    async def _positions(self) -> Positions:
        if self._admin is None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.url.bootstrap)
            try:
                await admin.start()
            except BaseException:
                await admin.close()
                raise
            self._admin = admin
        offsets = await self._admin.list_consumer_group_offsets(self.url.topic(self.group))
        return {
            (place.topic, place.partition): getattr(entry, "offset", 0)
            for place, entry in offsets.items()
        }

    async def _close(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()


def _newest(
    records: Sequence[Progress], topic: str, partition: int, positions: Positions
) -> Reach | None:
    """W of the first of the records that the position has passed."""
    position = positions.get((topic, partition), 0)
    for record in records:
        offsets = record.offsets.get(topic)
        if offsets is not None and position >= offsets.get(partition, 0):
            return Reach(record.system, record.chain)
    return None
