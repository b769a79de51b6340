"""When something is to happen with a task: reminders, the due moment, escalation, the next one.

A timer is a moment and what it is for. The stream and the read model ask the same function, so
that a sweeper finds exactly what the stream will agree to. What was agreed on too late for a
moment happens as soon as it was agreed.
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from shared.clock import to_milliseconds
from shared.decider import invalid

LONGEST = timedelta(days=36_525)
"""A hundred years."""
MOST_PERIODS = 40_000
"""More than there are days in a hundred years."""
_SPAN = re.compile(r"P(?:([1-9][0-9]{0,4})([DW])|T([1-9][0-9]{0,4})([HM]))")
_PERIOD = re.compile(r"P([1-9][0-9]{0,3})([DWMY])")
_UNITS = {"D": timedelta(days=1), "W": timedelta(weeks=1), "H": timedelta(hours=1)}
_MINUTE = timedelta(minutes=1)
_MONTHS = 12

TimerKind = Literal["reminder", "overdue", "escalation"]


@dataclass(frozen=True, slots=True)
class Timer:
    """What happens at a moment; `agreed` is the moment that the task names for it."""

    at: datetime
    kind: TimerKind
    agreed: datetime


class AnyReminder(Protocol):
    """A reminder, of an event or of a document."""

    @property
    def at(self) -> datetime | None:
        """A moment."""
        ...

    @property
    def before(self) -> str | None:
        """A duration before the task is due."""
        ...


class AnyEscalation(Protocol):
    """An escalation, of an event or of a document."""

    @property
    def after(self) -> str:
        """A duration after the task is due."""
        ...


class AnyTerms(Protocol):
    """The terms of a task as far as time is concerned, of an event or of a document."""

    @property
    def due(self) -> datetime | None:
        """When it is due."""
        ...

    @property
    def since(self) -> datetime:
        """When this was agreed."""
        ...

    @property
    def reminders(self) -> Sequence[AnyReminder]:
        """When somebody is reminded."""
        ...

    @property
    def escalation(self) -> AnyEscalation | None:
        """When somebody else has to know."""
        ...


class Passed(Protocol):
    """What has happened by now; moments as they were agreed."""

    @property
    def reminded(self) -> Sequence[datetime]:
        """Reminders."""
        ...

    @property
    def overdue(self) -> datetime | None:
        """The due moment."""
        ...

    @property
    def escalated(self) -> datetime | None:
        """The deadline."""
        ...


def span_of(text: str, path: str) -> timedelta:
    """The length of a duration. Raises `Refused` that names the path for another text."""
    form = _SPAN.fullmatch(text)
    if form is None:
        raise invalid(path, "a duration such as P3D, P2W, PT4H or PT15M")
    days, unit, clock, part = form.groups()
    if days is not None:
        span = int(days) * _UNITS[unit]
    else:
        span = int(clock) * (_UNITS["H"] if part == "H" else _MINUTE)
    if span > LONGEST:
        raise invalid(path, "a hundred years at most")
    return span


def check_period(text: str, path: str) -> None:
    """Raise `Refused` for a text that is no period of a recurrence."""
    if _PERIOD.fullmatch(text) is None:
        raise invalid(path, "a duration such as P1D, P2W, P1M or P1Y")


def timers(terms: AnyTerms, passed: Passed) -> list[Timer]:
    """What is still to happen while the task is open, the earliest first."""
    return sorted(_timers(terms, passed), key=lambda each: (each.at, each.agreed, each.kind))


def _timers(terms: AnyTerms, passed: Passed) -> Iterator[Timer]:
    due, since = terms.due, terms.since
    moments = {moment for each in terms.reminders if (moment := reminded_at(each, due)) is not None}
    for moment in moments - set(passed.reminded):
        yield Timer(max(moment, since), "reminder", moment)
    if due is None:
        return
    if passed.overdue != due:
        yield Timer(max(due, since), "overdue", due)
    if terms.escalation is not None:
        deadline = due + span_of(terms.escalation.after, "escalation.after")
        if passed.escalated != deadline:
            yield Timer(max(deadline, since), "escalation", deadline)


def reminded_at(reminder: AnyReminder, due: datetime | None) -> datetime | None:
    """The moment of a reminder; None where it counts from a due moment that there is not."""
    if reminder.at is not None:
        return reminder.at
    if reminder.before is None or due is None:
        return None
    return due - span_of(reminder.before, "reminders")


def moment_of(since: datetime, every: str, number: int, zone: str) -> datetime | None:
    """`since` and so many periods, at the same time of day in the zone; None past the calendar.

    The last day of a month stands for those that it has not.
    """
    form = _PERIOD.fullmatch(every)
    if form is None:
        return None
    count, unit = int(form[1]) * number, form[2]
    local = since.astimezone(ZoneInfo(zone))
    try:
        if unit in _UNITS:
            moved = (local.replace(tzinfo=None) + count * _UNITS[unit]).replace(tzinfo=local.tzinfo)
        else:
            months = local.year * _MONTHS + local.month - 1
            months += count if unit == "M" else count * _MONTHS
            year, month = divmod(months, _MONTHS)
            day = min(local.day, monthrange(year, month + 1)[1])
            moved = local.replace(year=year, month=month + 1, day=day, fold=0)
        return to_milliseconds(moved)
    except (ValueError, OverflowError):
        return None


def next_due(
    since: datetime,
    every: str,
    number: int,
    *,
    after: datetime,
    until: datetime | None,
    zone: str,
) -> tuple[int, datetime] | None:
    """The first moment of the series behind `number` and after a moment; None where it has ended.

    What was missed meanwhile is not made up for.
    """
    for following in range(number + 1, number + MOST_PERIODS):
        moment = moment_of(since, every, following, zone)
        if moment is None or (until is not None and moment > until):
            return None
        if moment > after:
            return following, moment
    return None
