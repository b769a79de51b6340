"""The subscriptions of series: one reads who enters, the other what ends and moves journeys.

Both read all topics of customers. The second one waits until the first has passed what it has in
hand, and until dates were looked at: so whoever entered before an event is known to be on the way
when it is looked at, whatever each came by, and nothing has to be kept of anybody else. Moments
count, not the order of reading, so an event that was read late still comes before the timeout that
it came before.

Nothing is subscribed before a series is started; from then on what happens is read, also while none
runs, so that a stop finds all that came before it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from faststream.kafka import KafkaBroker

from services.notify.consumers.signs import TOPICS, entering, entry_topics, moving
from services.notify.handlers.books.series import SeriesBook
from services.notify.handlers.series.noting import Noticed
from shared.eventstore import StoreUnavailable
from shared.kafka import KAFKA_AWAY, KafkaUrl, start, stop, subscribe
from shared.records import RawRecord

ENTRIES_GROUP, SIGNS_GROUP = "notify.series.entries", "notify.series.signs"
"""The consumer groups, without the installation's prefix."""
POLL_SECONDS = 0.5
WAIT_SECONDS = 0.2

NoteAll = Callable[[Sequence[Noticed]], Awaitable[None]]
Dated = Callable[[str, datetime], Awaitable[bool]]
"""Whether all who entered a series by a date that came before a moment are noted."""
Entered = Callable[[RawRecord, Sequence[str]], bool]
"""Whether all who entered by what Kafka took of these topics before a record are noted."""
log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class SeriesReaders:
    """Keeps the two subscriptions as soon as a series was started."""

    broker: KafkaBroker
    kafka: KafkaUrl
    book: SeriesBook
    note: NoteAll
    entered: Entered
    dated: Dated
    _subscribers: list[Any] = field(default_factory=list)

    async def run(self) -> None:
        """Follow the series until cancelled; on the way out let the batches in hand finish."""
        try:
            await start(self.broker)
            while not self._subscribers:
                try:
                    await self.adjust()
                except StoreUnavailable as failure:
                    log.warning("series wait", reason=str(failure))
                except KAFKA_AWAY as failure:
                    log.warning("series wait", reason=type(failure).__name__)
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.Event().wait()
        finally:
            await stop(self.broker)

    async def adjust(self) -> None:
        """Subscribe, if a series was ever started."""
        if not any(entry.course.turns for entry in (await self.book.fresh()).values()):
            return
        started: list[Any] = []
        for group, react in ((ENTRIES_GROUP, self.enter), (SIGNS_GROUP, self.move)):
            subscriber = subscribe(
                self.broker,
                *(self.kafka.topic(topic) for topic in TOPICS),
                group=self.kafka.topic(group),
                react=react,
                title=f"series {group}",
                description="What happens to customers lets journeys begin, go on and end.",
                persistent=False,
            )
            started.append(subscriber)
            try:
                await subscriber.start()
            except BaseException:
                for each in started:
                    await stop(each)
                raise
        self._subscribers = started

    async def enter(self, records: Sequence[RawRecord]) -> None:
        """Note who enters."""
        # As they are now: whatever was recorded before these records is in it.
        entries = list((await self.book.now()).values())
        await self._note([noticed for _, noticed in entering(entries, records)])

    async def move(self, records: Sequence[RawRecord]) -> None:
        """Note what ends and moves journeys, once it is known who is on one."""
        entries = list((await self.book.now()).values())
        found = list(moving(entries, records))
        await self._until_entered([record for record, _ in found], entry_topics(entries))
        by_date = {entry.name for entry in entries if entry.course.by_date}
        await self._until_dated([each for _, each in found if each.series in by_date])
        await self._note([noticed for _, noticed in found])

    async def _until_entered(self, records: Sequence[RawRecord], topics: Sequence[str]) -> None:
        while not all(self.entered(each, topics) for each in records):  # noqa: ASYNC110 - offsets
            await asyncio.sleep(WAIT_SECONDS)

    async def _until_dated(self, noticed: Sequence[Noticed]) -> None:
        for series in {each.series for each in noticed}:
            latest = max(each.note.at for each in noticed if each.series == series)
            while not await self.dated(series, latest):  # noqa: ASYNC110 - of another worker
                await asyncio.sleep(WAIT_SECONDS)

    async def _note(self, noticed: Sequence[Noticed]) -> None:
        if noticed:
            await self.note(noticed)
