"""Time: the only place that reads a clock.

The *chain's time* is that of the business: `time` and `recordedtime` of events, windows, timers,
start and end of campaigns. A setting may freeze or shift it, and then it does so in every process.
The *system's time* drives leases, deadlines and `recorded_at`, and never stands still.
Both are UTC with milliseconds, the precision of the event contract.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


def to_milliseconds(moment: datetime) -> datetime:
    """The moment in UTC, cut to whole milliseconds.

    Raises ValueError for a naive moment, and for one that is none of the years 1 to 9999 in UTC.
    """
    if moment.tzinfo is None:
        message = "a moment needs its time zone"
        raise ValueError(message)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as failure:
        message = "lies outside of the years 1 to 9999"
        raise ValueError(message) from failure
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Clock(Protocol):
    """What code that needs the time is given."""

    def now(self) -> datetime:
        """The chain's time."""
        ...

    def system_now(self) -> datetime:
        """The machine's time."""
        ...

    def at_system(self, moment: datetime) -> datetime:
        """What the chain's clock shows (or showed) at a moment of the machine's clock."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock, with the chain's time frozen at a moment or shifted by a span."""

    frozen_at: datetime | None = None
    shift: timedelta = timedelta(0)

    def system_now(self) -> datetime:
        """The machine's time."""
        return to_milliseconds(datetime.now(UTC))

    def now(self) -> datetime:
        """The chain's time."""
        return self.at_system(self.system_now())

    def at_system(self, moment: datetime) -> datetime:
        """The chain's time at a moment of the machine's clock."""
        if self.frozen_at is not None:
            return to_milliseconds(self.frozen_at)
        return to_milliseconds(moment + self.shift)


@dataclass(slots=True)
class ManualClock:
    """A clock that moves only when told to, for tests; both times are the same."""

    moment: datetime

    def now(self) -> datetime:
        """The moment that was set."""
        return to_milliseconds(self.moment)

    def system_now(self) -> datetime:
        """The moment that was set."""
        return to_milliseconds(self.moment)

    def at_system(self, moment: datetime) -> datetime:
        """The moment itself: nothing is shifted."""
        return to_milliseconds(moment)

    def advance(self, span: timedelta) -> None:
        """Move forward by the span."""
        self.moment += span
