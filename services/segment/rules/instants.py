"""Moments and spans as whole milliseconds, the precision of the event contract.

Rules compare moments millions of times, and a boundary is exact or wrong: so inside the engine a
moment is the number of milliseconds since 1970-01-01T00:00:00Z (an *instant*), a span is a number
of milliseconds, and both are plain integers. Months and years are refused, because their length
depends on where one counts from: "within a month" would have two right answers.
"""

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
UNITS = {
    "week": 7 * 24 * 60 * 60 * 1000,
    "day": 24 * 60 * 60 * 1000,
    "hour": 60 * 60 * 1000,
    "minute": 60 * 1000,
}
SPAN_PATTERN = (
    r"^P(?:(?P<week>[0-9]{1,4})W"
    r"|(?=[0-9T])(?:(?P<day>[0-9]{1,5})D)?"
    r"(?:T(?=[0-9])(?:(?P<hour>[0-9]{1,6})H)?(?:(?P<minute>[0-9]{1,8})M)?)?)$"
)
"""ISO 8601 durations of weeks alone, or of days, hours and minutes."""

_SPAN = re.compile(SPAN_PATTERN)
_CALENDAR_SPAN = re.compile(r"^P[0-9]+[YM]")
LONGEST_SPAN = 100 * 366 * UNITS["day"]
"""A hundred years: every moment plus a span is still a moment that can be written."""


def instant(moment: datetime) -> int:
    """The moment as an instant; parts of a millisecond are cut off."""
    return (moment - _EPOCH) // _MILLISECOND


def moment(at: int) -> datetime:
    """The instant as a moment in UTC."""
    return _EPOCH + timedelta(milliseconds=at)


def span(text: str) -> int:
    """The milliseconds of an ISO 8601 duration.

    Raises ValueError with a sentence that says what would be right.
    """
    if _CALENDAR_SPAN.match(text):
        message = "months and years have no fixed length: say it in days, such as P30D or P365D"
        raise ValueError(message)
    found = _SPAN.fullmatch(text)
    if found is None:
        message = (
            "write an ISO 8601 duration of weeks (P2W), or of days, hours and minutes"
            " (P30D, PT36H, P1DT12H30M)"
        )
        raise ValueError(message)
    length = sum(int(count) * UNITS[unit] for unit, count in found.groupdict(default="0").items())
    if not 0 < length <= LONGEST_SPAN:
        message = "a span is longer than nothing and at most 100 years"
        raise ValueError(message)
    return length


def show_span(length: int) -> str:
    """A span for people: `30 days`, `1 day 12 hours`. Weeks are shown as days."""
    parts = []
    for unit in ("day", "hour", "minute"):
        count, length = divmod(length, UNITS[unit])
        if count:
            parts.append(f"{count} {unit}" if count == 1 else f"{count} {unit}s")
    return " ".join(parts)
