"""Campaigns on a date, and series that begin on one: what is due is scheduled and noted once.

Both look in the same way (`dates`), in which what is found again finds its messages and journeys
there. A moment is looked at once `recipients` has applied all that was recorded up to it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial

import structlog

from services.notify.domain.anniversary import occurrence_of_date
from services.notify.handlers.books.campaigns import CampaignBook, Entry, Start
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from services.notify.handlers.recipients.dates import TICK, Dates, Due, Look
from services.notify.projections import QueuedMessage
from shared.events.campaign import CampaignDefined, OnDate
from shared.execute import Writer
from shared.recurring import again_and_again

POLL_SECONDS = 2.0

log = structlog.stdlib.get_logger(__name__)


async def no_series(_until: datetime) -> None:
    """Of a chain in which no series begins on a date."""


@dataclass(slots=True)
class Anniversaries:
    """Schedules what dates cause; `passed` and `scheduled` are as in `Audiences`.

    `series` lets journeys begin whose date came round until a moment.
    """

    writer: Writer
    book: CampaignBook
    dates: Dates
    passed: Callable[[datetime], bool]
    scheduled: Callable[[Sequence[QueuedMessage]], None]
    series: Callable[[datetime], Awaitable[None]] = no_series
    _asked: tuple[datetime, datetime] | None = field(default=None)

    async def run(self) -> None:
        """Look for what is due, until cancelled."""
        await again_and_again(self.turn, POLL_SECONDS, partial(log.warning, "dates wait"))

    async def turn(self) -> None:
        """Go on up to the last moment of which all is known. Raises `StoreUnavailable`."""
        clock = self.writer.clock
        if self._asked is None:
            self._asked = clock.now(), clock.system_now()
        until, recorded = self._asked
        if not self.passed(recorded):
            return
        for entry in list((await self.book.fresh()).values()):
            await self.go_on(entry, until)
        await self.series(until)
        self._asked = None

    async def go_on(self, entry: Entry, until: datetime) -> None:
        """Schedule what of a campaign was due until a moment, unless somebody else does."""
        definition, start = entry.campaign.definition, entry.start
        if definition is None or start is None or not entry.campaign.live:
            return
        rule = definition.trigger
        if not isinstance(rule, OnDate):
            return
        found = partial(self._schedule, definition, rule, start)
        since = max(start.at, definition.start) - TICK
        await self.dates.go_on(
            f"dates-{entry.name}", since, until, lambda span: [Look(rule, span, found)]
        )

    async def _schedule(
        self,
        definition: CampaignDefined,
        rule: OnDate,
        start: Start,
        day: date,
        people: Sequence[Due],
    ) -> None:
        occurrence = occurrence_of_date(rule, day)
        occasions = [
            Occasion(
                definition.campaign, person.id, occurrence, definition.channel, start.why, moment
            )
            for person, moment in people
        ]
        if occasions:
            self.scheduled(await schedule(self.writer, occasions))
