"""Calendar days of a zone: which one an instant lies in, and at which instant one begins.

A day is its number (`date.toordinal`). It begins at its first local midnight, or where a change of
the clocks skips that, at the change; it goes on until the next one begins, also where the clocks go
back over midnight. So every instant is in one day, and days follow one another.

Who was born on 29 February has the birthday on 1 March of common years: nobody is of an age before
the whole year has passed, which is what age limits are about.
"""

from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.segment.rules.instants import instant, moment

LAST_DAY = date.max.toordinal() - 1
_FIRST = instant(datetime(1, 1, 2, tzinfo=UTC))
_LAST = instant(datetime(9999, 12, 30, tzinfo=UTC))
"""What lies beyond is not in the calendar of every zone, and counts as the nearest that is: a till
whose clock was never set sends the first moment of the year 1."""


@lru_cache(maxsize=4096)
def day_of(at: int, zone: str) -> int:
    """The day in which an instant lies."""
    local = moment(min(max(at, _FIRST), _LAST)).astimezone(ZoneInfo(zone))
    day = local.toordinal()
    return day + 1 if begin_of(day + 1, zone) <= at else day


@lru_cache(maxsize=4096)
def begin_of(day: int, zone: str) -> int:
    """The first instant of a day."""
    midnight = datetime.combine(date.fromordinal(day), time.min, ZoneInfo(zone))
    return instant(midnight)


@lru_cache(maxsize=4096)
def parsed(text: str) -> int | None:
    """The day that a text such as `2017-12-31` is; None for any other text."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found.toordinal() if found.isoformat() == text else None


def in_year(month: int, day: int, year: int) -> int:
    """The day of a year that has this date: 29 February is 1 March in common years."""
    try:
        return date(year, month, day).toordinal()
    except ValueError:
        return date(year, month + 1, 1).toordinal()


def years_between(birth: int, today: int) -> int:
    """How many birthdays there were after the day of birth, up to today; less than 0 before it."""
    born, now = date.fromordinal(birth), date.fromordinal(today)
    years = now.year - born.year
    return years if today >= in_year(born.month, born.day, now.year) else years - 1
