"""Quiet hours on the recipient's own clock, also over the days on which it is put forward or back.

What counts is what the clock on the wall shows: a moment is quiet when the wall shows a time within
a stretch. So an end that the clock jumps over is where it lands, and an hour that comes twice is
quiet both times.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

DAY = timedelta(days=1)
_STEP = timedelta(hours=6)
"""Two changes of a clock are never that close."""
_SECOND = timedelta(seconds=1)
_HORIZON_DAYS = 15
_MINUTES_OF_A_WEEK = 7 * 24 * 60
LEAST_OPEN_MINUTES = 60
"""So much of each week is never quiet: a message that waits must come to an end."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Local times from `begin` (included) to `end` (not), past midnight where that is not later.

    `days` are the ISO weekdays on which it begins; none: all of them.
    """

    begin: time
    end: time
    days: frozenset[int] = frozenset()

    @property
    def overnight(self) -> bool:
        """Whether it ends on the next day."""
        return self.end <= self.begin

    def holds(self, wall: datetime) -> bool:
        """Whether a clock that shows this is within it."""
        shown = wall.time()
        if not self.overnight:
            return self._begins(wall) and self.begin <= shown < self.end
        tonight = self._begins(wall) and shown >= self.begin
        return tonight or (self._begins(wall - DAY) and shown < self.end)

    def _begins(self, wall: datetime) -> bool:
        return not self.days or wall.isoweekday() in self.days


def is_quiet(moment: datetime, zone: tzinfo, stretches: Sequence[Stretch]) -> bool:
    """Whether nothing is sent at the moment (UTC)."""
    wall = moment.astimezone(zone).replace(tzinfo=None)
    return any(stretch.holds(wall) for stretch in stretches)


def next_allowed(moment: datetime, zone: tzinfo, stretches: Sequence[Stretch]) -> datetime:
    """The first moment (UTC) from this one on that is not quiet.

    Raises ValueError where there is none within two weeks; `open_minutes` tells beforehand.
    """
    if not is_quiet(moment, zone, stretches):
        return moment
    for day in range(_HORIZON_DAYS):
        ends = sorted(_ends(moment + day * DAY, zone, stretches))
        for end in ends:
            if end >= moment and not is_quiet(end, zone, stretches):
                return end
    message = "all hours are quiet"
    raise ValueError(message)


def open_minutes(stretches: Sequence[Stretch]) -> int:
    """How many minutes of a week are in none of the stretches."""
    monday = datetime(2024, 1, 1)  # noqa: DTZ001 - a clock on a wall, of no zone
    return sum(
        not any(stretch.holds(monday + timedelta(minutes=minute)) for stretch in stretches)
        for minute in range(_MINUTES_OF_A_WEEK)
    )


def _ends(moment: datetime, zone: tzinfo, stretches: Sequence[Stretch]) -> Iterator[datetime]:
    """The moments of the 24 hours from this one at which quiet may end."""
    last = moment + DAY
    first_day, last_day = moment.astimezone(zone).date(), last.astimezone(zone).date()
    for number in range((last_day - first_day).days + 1):
        date = first_day + number * DAY
        for stretch in stretches:
            for fold in (0, 1):
                end = datetime.combine(date, stretch.end, zone).replace(fold=fold)
                found = end.astimezone(UTC)
                # One that the clock jumps over is shown by no moment: the jump itself ends it.
                if moment <= found < last and found.astimezone(zone).time() == stretch.end:
                    yield found
    begin = moment
    while begin < last:
        after = begin + _STEP
        if begin.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            yield _change(begin, after, zone)
        begin = after


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The second at which the clock is put forward or back between two moments."""
    old = before.astimezone(zone).utcoffset()
    first, last = 0, int((after - before) / _SECOND)
    start = before.replace(microsecond=0)
    while last - first > 1:
        middle = (first + last) // 2
        same = (start + middle * _SECOND).astimezone(zone).utcoffset() == old
        first, last = (middle, last) if same else (first, middle)
    return start + last * _SECOND
