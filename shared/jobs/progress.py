"""How far a job is and how fast: what a person waits by."""

from collections import deque
from dataclasses import dataclass, field

from shared.jobs.job import Job

WINDOW_SECONDS = 5.0
"""The rate is that of the last seconds: the average since the start would hide a standstill."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Rows per second, and the seconds left at that; None where nothing can be said."""

    rate: float | None = None
    seconds_left: float | None = None


@dataclass(slots=True)
class Speedometer:
    """Looks at a job again and again."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)
    _undoing: bool = False

    def read(self, job: Job, now: float) -> Speed:
        """The speed at a moment, in seconds of any clock that only goes forward."""
        if job.state not in {"running", "reverting"}:
            self._seen.clear()
            return Speed()
        if job.undoing != self._undoing or (self._seen and job.position < self._seen[-1][1]):
            self._seen.clear()
            self._undoing = job.undoing
        self._seen.append((now, job.position))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW_SECONDS:  # noqa: PLR2004 - two points make a line
            self._seen.popleft()
        begun, first = self._seen[0]
        if now <= begun:
            return Speed()
        rate = (job.position - first) / (now - begun)
        if job.total is None or rate <= 0:
            return Speed(rate)
        return Speed(rate, max(0.0, (job.total - job.position) / rate))
