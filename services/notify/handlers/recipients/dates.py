"""Whose date comes round: found by an index of days, not by asking everybody.

Under a name it is kept with a lease up to which moment (the chain's clock) all that was due has
been found; killed anywhere, another worker goes on from there, and finds some again. Nothing is
read while no clock of the world shows the hour.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Protocol

from services.notify.domain.anniversary import (
    alike,
    celebrated,
    comes_round,
    days_between,
    local_moments,
    zone_of,
)
from services.notify.projections import Recipient
from services.notify.projections.anniversaries import (
    CUSTOM,
    REGISTERED,
    day_key,
    parsed,
)
from shared.events.campaign import OnDate
from shared.readmodel import Lease, Leases

LEASE_SECONDS = 30.0
RANGE = 500
TICK = timedelta(milliseconds=1)
_DAY = timedelta(days=1)

Span = tuple[datetime, datetime]
"""After one moment and until another."""
Due = tuple[Recipient, datetime]
"""Whose hour comes, and when."""


class People(Protocol):
    """The recipients."""

    async def with_days(self, keys: Collection[str], after: str, limit: int) -> Sequence[Recipient]:
        """Those with one of the days of the year by id, after one of them."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """Of whom a date comes round in a span; `found` takes the day that is celebrated, and whose."""

    rule: OnDate
    span: Span
    found: Callable[[date, Sequence[Due]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Dates:
    """Goes on, name by name, from where it has come to; `zone` is the chain's."""

    leases: Leases
    owner: str
    recipients: People
    branches: Callable[[], Awaitable[Mapping[str, str]]]
    zone: tzinfo

    async def go_on(
        self, name: str, since: datetime, until: datetime, looks: Callable[[Span], Sequence[Look]]
    ) -> None:
        """Look from a moment (or where it has come to) until another, unless somebody else does."""
        lease = await self.leases.acquire(name, self.owner, LEASE_SECONDS)
        if lease is None:
            return
        try:
            kept = await self.looked_until(name)
            after = since if kept is None else max(since, kept)
            if after < until and await self._all(looks((after, until)), lease):
                await self.leases.save(lease, {"until": until.isoformat()})
        finally:
            await self.leases.release(lease)

    async def looked_until(self, name: str) -> datetime | None:
        """Up to which moment all has been found under a name; None: nobody has looked."""
        state = await self.leases.state(name)
        return datetime.fromisoformat(state["until"]) if "until" in state else None

    async def _all(self, looks: Sequence[Look], lease: Lease) -> bool:
        """Whether all was found; False: somebody else goes on."""
        branches = await self.branches() if looks else {}
        for look in looks:
            for day in days_between(*look.span):
                if not await self._day(look, day, branches, lease):
                    return False
        return True

    async def _day(self, look: Look, day: date, branches: Mapping[str, str], lease: Lease) -> bool:
        rule, (since, until) = look.rule, look.span
        moments = (*local_moments(day, rule.at).values(), self._moment(rule, day, self.zone))
        if not any(since < moment <= until for moment in moments):
            return True
        keys, after = _keys(rule, celebrated(rule, day)), ""
        while found := await self.recipients.with_days(keys, after, RANGE):
            due = [
                (each, moment)
                for each in found
                if (moment := self._due(look, each, day, branches)) is not None
            ]
            await look.found(celebrated(rule, day), due)
            after = found[-1].id
            if await self.leases.renew(lease, LEASE_SECONDS) is None:
                return False
        return True

    def _due(
        self, look: Look, person: Recipient, day: date, branches: Mapping[str, str]
    ) -> datetime | None:
        """The moment of the person's hour, where that lies in the span."""
        rule, (since, until) = look.rule, look.span
        zone = zone_of(person.time_zone, branches.get(person.home_branch or ""), self.zone)
        origin = _origin(rule, person, zone)
        if person.merged is not None or origin is None:
            return None
        moment = self._moment(rule, day, zone)
        due = since < moment <= until and comes_round(rule, origin, celebrated(rule, day))
        return moment if due else None

    def _moment(self, rule: OnDate, day: date, zone: tzinfo) -> datetime:
        named = local_moments(day, rule.at).get(str(zone))
        return named or local_moments(day, rule.at)["UTC"]


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
