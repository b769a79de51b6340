"""What a series has to say of its messages at the moment of sending.

A stop and a pause are read from this service's own store, so they act at once; who has left a
series gets no more of it as soon as the read model shows so.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.notify.domain.campaign import Closed
from services.notify.domain.series import series_of
from services.notify.handlers.books.series import SeriesBook, SeriesEntry
from services.notify.projections import QueuedMessage
from services.notify.projections.journeys import JourneyDocument, journey_key

_LEFT = frozenset({"exit", "merged", "erased"})
"""Ends after which what was not handed over yet is not sent any more."""


class Ways(Protocol):
    """Where customers stand."""

    async def ended(self, journeys: Collection[tuple[str, str]]) -> Mapping[str, JourneyDocument]:
        """Of these, each a series and a customer, by id."""
        ...


@dataclass(frozen=True, slots=True)
class Steps:
    """The series of a batch of messages, and where their customers stand."""

    entries: Mapping[str, SeriesEntry] = field(default_factory=dict)
    journeys: Mapping[str, JourneyDocument] = field(default_factory=dict)

    def closed(self, message: QueuedMessage) -> Closed | None:
        """Why it never goes out any more, if the series was stopped since it was due."""
        entry = self._entry(message)
        since = message.occurred or message.scheduled_at
        stopped = entry is not None and entry.course.stopped(since) is not None
        return "campaign_stopped" if stopped else None

    def paused(self, message: QueuedMessage) -> bool:
        """Whether it waits until the series goes on."""
        entry = self._entry(message)
        return entry is not None and entry.series.state == "paused"

    def left(self, message: QueuedMessage) -> bool:
        """Whether the customer has left the series on the journey that it belongs to."""
        series = series_of(message.occurrence)
        journey = self.journeys.get(journey_key(series or "", message.customer))
        if series is None or journey is None:
            return False
        return journey.state in _LEFT and message.occurrence.split("/")[1] == str(journey.number)

    def _entry(self, message: QueuedMessage) -> SeriesEntry | None:
        return self.entries.get(series_of(message.occurrence) or "")


@dataclass(frozen=True, slots=True)
class Stepping:
    """Looks at the series of messages; those of other campaigns cost nothing."""

    book: SeriesBook
    ways: Ways

    async def of(self, messages: Sequence[QueuedMessage]) -> Steps:
        """What is known of them now. Raises `StoreUnavailable`."""
        asked = {
            (series, each.customer)
            for each in messages
            if (series := series_of(each.occurrence)) is not None
        }
        if not asked:
            return Steps()
        return Steps(await self.book.fresh(), await self.ways.ended(asked))


LookAtSteps = Callable[[Sequence[QueuedMessage]], Awaitable[Steps]]


async def no_series(_messages: Sequence[QueuedMessage]) -> Steps:
    """Of a dispatcher that knows of none."""
    return Steps()
