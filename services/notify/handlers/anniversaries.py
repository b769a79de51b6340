"""Campaigns on a date: who has a day is found by an index of days, not by asking everybody.

Of each campaign it is kept with a lease up to which moment (the chain's clock) everything that was
due has its message; killed anywhere, another worker goes on from there, and what is done again
finds its messages there. A moment is looked at once `recipients` has applied all that was recorded
up to it. Nothing is read while no clock of the world shows the hour.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from functools import partial
from typing import Protocol

import structlog

from services.notify.domain.anniversary import (
    alike,
    celebrated,
    comes_round,
    days_between,
    local_moments,
    occurrence_of_date,
    zone_of,
)
from services.notify.handlers.book import CampaignBook, Entry, Start
from services.notify.handlers.scheduling import Occasion, schedule
from services.notify.projections import QueuedMessage, Recipient
from services.notify.projections.anniversaries import (
    CUSTOM,
    REGISTERED,
    day_key,
    parsed,
)
from shared.events.campaign import CampaignDefined, OnDate
from shared.execute import Writer
from shared.readmodel import Lease, Leases
from shared.recurring import again_and_again

POLL_SECONDS = 2.0
LEASE_SECONDS = 30.0
RANGE = 500
_TICK = timedelta(milliseconds=1)
_DAY = timedelta(days=1)

log = structlog.stdlib.get_logger(__name__)
Span = tuple[datetime, datetime]
"""After one moment and until another."""


class People(Protocol):
    """The recipients."""

    async def with_days(self, keys: Collection[str], after: str, limit: int) -> Sequence[Recipient]:
        """Those with one of the days of the year by id, after one of them."""
        ...


@dataclass(slots=True)
class Anniversaries:
    """Schedules what dates cause; `passed` and `scheduled` are as in `Audiences`."""

    writer: Writer
    book: CampaignBook
    leases: Leases
    owner: str
    recipients: People
    branches: Callable[[], Awaitable[Mapping[str, str]]]
    zone: tzinfo
    passed: Callable[[datetime], bool]
    scheduled: Callable[[Sequence[QueuedMessage]], None]
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
        self._asked = None

    async def go_on(self, entry: Entry, until: datetime) -> None:
        """Schedule what of a campaign was due until a moment, unless somebody else does."""
        definition, start = entry.campaign.definition, entry.start
        if definition is None or start is None or not entry.campaign.live:
            return
        if not isinstance(definition.trigger, OnDate):
            return
        lease = await self.leases.acquire(f"dates-{entry.name}", self.owner, LEASE_SECONDS)
        if lease is None:
            return
        try:
            state = await self.leases.state(lease.name)
            kept = [datetime.fromisoformat(state["until"])] if "until" in state else []
            after = max(start.at - _TICK, definition.start - _TICK, *kept)
            if after < until and await self._span(definition, start, (after, until), lease):
                await self.leases.save(lease, {"until": until.isoformat()})
        finally:
            await self.leases.release(lease)

    async def _span(
        self, definition: CampaignDefined, start: Start, span: Span, lease: Lease
    ) -> bool:
        """Whether all that was due in the span has its message; False: somebody else goes on."""
        rule = definition.trigger
        if not isinstance(rule, OnDate):
            return False
        branches = await self.branches()
        for day in days_between(*span):
            moments = (*local_moments(day, rule.at).values(), self._moment(rule, day, self.zone))
            if not any(span[0] < moment <= span[1] for moment in moments):
                continue
            keys, after = _keys(rule, celebrated(rule, day)), ""
            while found := await self.recipients.with_days(keys, after, RANGE):
                due = [
                    (each, moment)
                    for each in found
                    if (moment := self._due(rule, each, day, span, branches)) is not None
                ]
                await self._schedule(definition, rule, start, day, due)
                after = found[-1].id
                if await self.leases.renew(lease, LEASE_SECONDS) is None:
                    return False
        return True

    def _due(
        self, rule: OnDate, person: Recipient, day: date, span: Span, branches: Mapping[str, str]
    ) -> datetime | None:
        """The moment of the person's hour, where that lies in the span."""
        zone = zone_of(person.time_zone, branches.get(person.home_branch or ""), self.zone)
        origin = _origin(rule, person, zone)
        if person.merged is not None or origin is None:
            return None
        moment = self._moment(rule, day, zone)
        due = span[0] < moment <= span[1] and comes_round(rule, origin, celebrated(rule, day))
        return moment if due else None

    def _moment(self, rule: OnDate, day: date, zone: tzinfo) -> datetime:
        named = local_moments(day, rule.at).get(str(zone))
        return named or local_moments(day, rule.at)["UTC"]

    async def _schedule(
        self,
        definition: CampaignDefined,
        rule: OnDate,
        start: Start,
        day: date,
        people: Sequence[tuple[Recipient, datetime]],
    ) -> None:
        occurrence = occurrence_of_date(rule, celebrated(rule, day))
        occasions = [
            Occasion(
                definition.campaign, person.id, occurrence, definition.channel, start.why, moment
            )
            for person, moment in people
        ]
        if occasions:
            self.scheduled(await schedule(self.writer, occasions))


def _keys(rule: OnDate, on: date) -> list[str]:
    """The keys of those whose date may come round; a registration has its day by the zone."""
    near = (on - _DAY, on, on + _DAY) if rule.field == REGISTERED else (on,)
    return sorted({day_key(rule.field, each) for day in near for each in alike(day)})


def _origin(rule: OnDate, person: Recipient, zone: tzinfo) -> date | None:
    """The date that the rule is about."""
    match rule.field:
        case "registered":
            at = person.registered_at
            return None if at is None else at.astimezone(zone).date()
        case "birth_date":
            return parsed(person.birth_date)
        case name:
            return parsed(person.custom_dates.get(name.removeprefix(CUSTOM)))
