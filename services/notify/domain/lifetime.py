"""How long a message is worth sending: its occasion grows old, and campaigns end."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When its occasion was and when it was scheduled; how old it may become; when all ends."""

    occurred: datetime
    scheduled: datetime
    max_age: timedelta | None = None
    end: datetime | None = None

    @property
    def last(self) -> datetime | None:
        """The last moment at which it may go out; None: any."""
        ends = [] if self.end is None else [self.end - MILLISECOND]
        if self.max_age is not None:
            ends.append(self.occurred + self.max_age)
        return min(ends, default=None)

    def outdated(self, now: datetime) -> Literal["stale", "expired"] | None:
        """Whether it is too old: stale from the beginning, or expired while it waited."""
        if self.max_age is None or now - self.occurred <= self.max_age:
            return None
        return "stale" if self.scheduled - self.occurred > self.max_age else "expired"
