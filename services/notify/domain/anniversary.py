"""When a date comes round for a customer: so many days before or after it, at a local hour.

Who was born on 29 February has the day on 1 March of common years. An hour that the clock jumps
over is where it lands, and one that comes twice is its first coming.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from shared.events.campaign import OnDate

WIDEST = timedelta(hours=15)
"""No local day begins that long before, or ends that long after, the day in UTC."""
_DAY = timedelta(days=1)
_LEAP = date(2000, 2, 29)


@cache
def _zones() -> Mapping[str, tzinfo]:
    """Every zone; kept, since the standard library forgets all but a few."""
    return {name: ZoneInfo(name) for name in available_timezones()}


@lru_cache(maxsize=64)
def local_moments(day: date, at: str) -> Mapping[str, datetime]:
    """The moment (UTC) at which the clocks of each zone show an hour of a day."""
    hour = time.fromisoformat(at)
    return {
        name: datetime.combine(day, hour, zone).astimezone(UTC) for name, zone in _zones().items()
    }


def days_between(after: datetime, until: datetime) -> list[date]:
    """The days of which an hour may come in any zone after a moment and until another."""
    first, last = (after - WIDEST).date(), (until + WIDEST).date()
    return [first + place * _DAY for place in range((last - first).days + 1)]


def celebrated(rule: OnDate, day: date) -> date:
    """The day of the year that is celebrated when something is sent on a day."""
    return day - timedelta(days=rule.days)


def alike(day: date) -> list[date]:
    """The days that come round on it: in common years 1 March is also that of 29 February."""
    common = (day.month, day.day) == (3, 1) and (day - _DAY).day != _LEAP.day
    return [day, _LEAP] if common else [day]


def comes_round(rule: OnDate, origin: date, on: date) -> bool:
    """Whether a date of a customer comes round on a day: each year after its own, or once."""
    if (origin.month, origin.day) not in {(each.month, each.day) for each in alike(on)}:
        return False
    return origin.year < on.year if rule.yearly else origin.year == on.year


def occurrence_of_date(rule: OnDate, on: date) -> str:
    """The occurrence of a date: its field, and the year in which it comes round."""
    return f"{rule.field}-{on.year}"


def zone_of(own: str | None, of_branch: str | None, chain: tzinfo) -> tzinfo:
    """Whose clock counts: the customer's, else the home branch's, else the chain's."""
    for name in (own, of_branch):
        if name is not None and name in _zones():
            return _zones()[name]
    return chain
