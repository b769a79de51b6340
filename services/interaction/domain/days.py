"""The chain's days: from midnight to midnight in the zone that the chain has set.

One zone for the whole chain, so that figures of different branches are of the same days. It is a
setting and not an event: read models count days, and would have to be filled anew with another.
"""

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from shared.moments import milliseconds, moment_of

QUARTER = 15 * 60 * 1_000
"""Milliseconds; no day of any zone begins within a quarter of an hour."""


def zone_name(name: str) -> str:
    """The name, if it is one of a time zone. Raises ValueError that says what it should be."""
    if name not in available_timezones():
        message = "should be the IANA name of a time zone, e.g. Europe/Berlin"
        raise ValueError(message)
    return name


class Days:
    """The days of one zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        """`zone` is the chain's."""
        self.zone = zone
        self._bounds = lru_cache(maxsize=4_096)(self._find)

    def bounds(self, at: int) -> tuple[int, int]:
        """The day of a moment: its first millisecond, and that of the next day."""
        return self._bounds(at // QUARTER)

    def date_of(self, at: int) -> date:
        """The date of a moment."""
        return moment_of(at).astimezone(self.zone).date()

    def span(self, day: date) -> tuple[int, int]:
        """The milliseconds of a date: the first one, and that of the next day."""
        return self._begin(day), self._begin(day + timedelta(days=1))

    def _find(self, quarter: int) -> tuple[int, int]:
        return self.span(self.date_of(quarter * QUARTER))

    def _begin(self, day: date) -> int:
        return milliseconds(datetime.combine(day, time.min, self.zone))
