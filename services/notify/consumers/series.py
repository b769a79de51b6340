"""What lets customers go through series, put together: readers, timers, and who begins on a date.

A journey goes on by what both subscriptions have read; where a series was begun by more than one
way, also only as far as its dates were looked at, so that what came first begins it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial

from faststream.kafka import KafkaBroker

from services.notify.consumers.journeys import ENTRIES_GROUP, SIGNS_GROUP, SeriesReaders
from services.notify.consumers.signs import TOPICS, topics_of_series
from services.notify.handlers.books.series import SeriesBook, SeriesEntry
from services.notify.handlers.recipients.dates import Dates
from services.notify.handlers.series.beginning import Beginnings, dates_of
from services.notify.handlers.series.journeying import Journeying
from services.notify.handlers.series.noting import note
from services.notify.projections import RECIPIENTS
from services.notify.queries import Journeys, Recipients
from shared.kafka import GroupReach
from shared.process import Kernel
from shared.records import RawRecord

GRACE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Going:
    """All that is known of a series when it is asked how far its journeys may go."""

    entries: GroupReach
    signs: GroupReach
    dates: Dates

    async def known(self, entry: SeriesEntry) -> datetime | None:
        """The moment before which all that may count for it is noted; None: not known."""
        topics = topics_of_series(entry)
        found = [self.signs.everywhere(topics), self.entries.everywhere(topics)]
        if entry.course.by_date and len(entry.course.ways_in) > 1:
            found.append(await self.dates.looked_until(dates_of(entry.name)))
        known = [each for each in found if each is not None]
        return min(known) if len(known) == len(found) else None

    def entered(self, record: RawRecord, topics: Sequence[str]) -> bool:
        """Whether all who entered by what Kafka took of the topics before a record are noted."""
        found = self.entries.of(record.partition, topics)
        taken = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        return found is not None and found.system > taken


def series_work(
    kernel: Kernel,
    *,
    series: SeriesBook,
    journeys: Journeys,
    recipients: Recipients,
    people: GroupReach,
    dates: Dates,
    zone: tzinfo,
) -> tuple[Beginnings, Sequence[Callable[[], Awaitable[None]]]]:
    """Who begins on a date, and what is to be run by workers."""
    partitions = kernel.settings.partitions
    entries, signs = (
        GroupReach(kernel.kafka, group, TOPICS, partitions, kernel.progress)
        for group in (ENTRIES_GROUP, SIGNS_GROUP)
    )
    going = Going(entries, signs, dates)
    beginnings = Beginnings(kernel.writer, series, dates)

    def refused() -> frozenset[str]:
        records = kernel.progress.of_topics(TOPICS)
        return frozenset(key for record in records if record is not None for key in record.refused)

    readers = SeriesReaders(
        KafkaBroker(kernel.kafka.bootstrap, graceful_timeout=GRACE_SECONDS, logger=None),
        kernel.kafka,
        series,
        partial(note, kernel.writer, series),
        going.entered,
        beginnings.passed,
    )
    timers = Journeying(
        writer=kernel.writer,
        book=series,
        leases=dates.leases,
        owner=kernel.owner,
        standings=journeys,
        recipients=recipients,
        known=going.known,
        people_known=lambda: people.everywhere(RECIPIENTS.topics),
        refused=refused,
        zone=zone,
        branches=dates.branches,
    )
    return beginnings, (readers.run, entries.run, signs.run, timers.run)
