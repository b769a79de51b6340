"""When a campaign by the calendar runs: by the chain's days and clock.

A time that the clock jumps over is where it lands, and one that comes twice is its first coming. A
day that a month has not is left out; -1 is its last one.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from shared.decider import invalid
from shared.events.campaign import OnCalendar

LAST_DAY = -1
_DAY = timedelta(days=1)
_FURTHEST_DAYS = 366 * 8
"""29 February is no further away than that, also over a year that has none."""


def check_calendar(rule: OnCalendar) -> None:
    """Raise `Refused`, naming the path, for days that there are not."""
    path = "trigger.days"
    match rule.every:
        case "day":
            if rule.days:
                raise invalid(path, "are of weeks and months: every day is every day")
        case "week":
            if not rule.days or not all(1 <= day <= 7 for day in rule.days):  # noqa: PLR2004 - ISO weekdays
                raise invalid(path, "ISO weekdays, 1 (Monday) to 7")
        case "month":
            if not rule.days or not all(day == LAST_DAY or 1 <= day <= 31 for day in rule.days):  # noqa: PLR2004 - days of a month
                raise invalid(path, "days of the month, 1 to 31, or -1 for the last one")


def next_run(rule: OnCalendar, after: datetime, zone: tzinfo) -> datetime:
    """The first moment (UTC) after another at which the rule says to run."""
    at = time.fromisoformat(rule.at)
    day = after.astimezone(zone).date() - _DAY
    for _ in range(_FURTHEST_DAYS):
        if _holds(rule, day):
            moment = datetime.combine(day, at, zone).astimezone(UTC)
            if moment > after:
                return moment
        day += _DAY
    message = "a rule that was checked has a day within eight years"
    raise ValueError(message)


def _holds(rule: OnCalendar, day: date) -> bool:
    match rule.every:
        case "week":
            return day.isoweekday() in rule.days
        case "month":
            last = (day + _DAY).month != day.month
            return day.day in rule.days or (last and LAST_DAY in rule.days)
        case _:
            return True
