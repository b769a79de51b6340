"""Campaigns by the calendar: each run begins when its moment has come.

Whoever begins it first is right: the campaign's stream settles it, and the moment names the run.
After a time in which nobody was there the last run that was due begins, and those before it are
left out: nobody gets three weeks of a weekly letter at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import partial

import structlog

from services.notify.domain.calendar import next_run
from services.notify.handlers.books.campaigns import CampaignBook, Entry
from services.notify.handlers.campaigns.requests import begin_run
from shared.events.campaign import OnCalendar
from shared.execute import Writer
from shared.recurring import again_and_again

POLL_SECONDS = 1.0
_TICK = timedelta(milliseconds=1)

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Calendars:
    """Begins runs; `zone` is the chain's."""

    writer: Writer
    book: CampaignBook
    zone: tzinfo

    async def run(self) -> None:
        """Begin what is due, until cancelled."""
        await again_and_again(self.turn, POLL_SECONDS, partial(log.warning, "calendars wait"))

    async def turn(self) -> None:
        """Look at every campaign once. Raises `StoreUnavailable`."""
        for entry in list((await self.book.fresh()).values()):
            due = self._due(entry, self.writer.clock.now())
            if due is not None:
                await begin_run(self.writer, entry.name, due)
                log.info("run begun", campaign=entry.name)

    def _due(self, entry: Entry, now: datetime) -> datetime | None:
        """The last moment of a run that has come since the start and the run before."""
        campaign, definition, start = entry.campaign, entry.campaign.definition, entry.start
        if definition is None or start is None or not campaign.live or campaign.gathering:
            return None
        rule = definition.trigger
        if not isinstance(rule, OnCalendar):
            return None
        after = max(start.at, definition.start - _TICK, campaign.due or start.at)
        due, coming = None, next_run(rule, after, self.zone)
        while coming <= now and not campaign.over(coming):
            due, coming = coming, next_run(rule, coming, self.zone)
        return due
