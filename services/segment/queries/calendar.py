"""The days and months of a zone, as the moments at which they begin."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from shared.moments import milliseconds

DAY = timedelta(days=1)
FIRST_YEAR, YEARS = 1970, 200
MONTHS = 12 * YEARS


@dataclass(frozen=True, slots=True)
class Period:
    """The days of a zone from `first` to `last`, both included."""

    first: date
    last: date
    zone: ZoneInfo

    @property
    def days(self) -> Sequence[date]:
        """Each day."""
        return [self.first + number * DAY for number in range((self.last - self.first).days + 1)]

    @property
    def begin(self) -> datetime:
        """The first moment."""
        return begin_of(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return begin_of(self.last + DAY, self.zone)

    @property
    def starts(self) -> Sequence[datetime]:
        """The first moment of each day, and that of the day after the last."""
        return [*(begin_of(day, self.zone) for day in self.days), self.end]


def begin_of(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def place_of(starts: Sequence[datetime], at: datetime) -> int | None:
    """Which of the days a moment is in; None where it is in none of them."""
    place = bisect_right(starts, at) - 1
    return place if 0 <= place < len(starts) - 1 else None


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """The date of a moment."""
    return at.astimezone(zone).date()


@lru_cache(maxsize=64)
def month_starts(zone: ZoneInfo) -> npt.NDArray[np.int64]:
    """The first milliseconds of the months from January 1970 on."""
    return np.array(
        [
            milliseconds(begin_of(date(FIRST_YEAR + number // 12, number % 12 + 1, 1), zone))
            for number in range(MONTHS + 1)
        ],
        dtype=np.int64,
    )


def months_of(moments: npt.NDArray[np.int64], zone: ZoneInfo) -> npt.NDArray[np.int64]:
    """The months of moments (milliseconds), counted from January 1970; none is before that."""
    found = np.searchsorted(month_starts(zone), moments, side="right") - 1
    return np.clip(found, 0, MONTHS - 1)


def month_of(at: datetime, zone: ZoneInfo) -> int:
    """The month of a moment, counted from January 1970."""
    day = day_of(at, zone)
    return (day.year - FIRST_YEAR) * 12 + day.month - 1


def show_month(month: int) -> str:
    """As ISO 8601 writes it: 2026-01."""
    return f"{FIRST_YEAR + month // 12}-{month % 12 + 1:02d}"
