"""How a segment grew, how long people stay, and where they go: sums over intervals of members.

An interval is [entered, exited). One that began and ended in the same moment counts as an entry and
as an exit and never as a member, so that of every day

    members at its end = members at its beginning + entered - exited.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.segment.projections.members import FOREVER
from services.segment.queries.calendar import DAY, Period, begin_of, day_of, place_of
from shared.readmodel import Scans

MILLISECOND = timedelta(milliseconds=1)
_READ = {"customer": 1, "intervals.entered": 1, "intervals.exited": 1}

Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Grown:
    """One day: members when it began, and how many entered and left in it.

    What happens at its first moment is of the day.
    """

    day: str
    members: int
    entered: int
    exited: int


@dataclass(frozen=True, slots=True)
class Stays:
    """How long people stay: medians of what has ended, and of the age of what has not."""

    ended: int
    median: timedelta | None
    open: int
    median_age: timedelta | None


@dataclass(frozen=True, slots=True)
class Flow:
    """Of one segment: how many left it, and how many of those entered another soon after.

    Who entered several is counted in each; `nowhere` are those who entered none. `to` names the
    segment itself too: who came back.
    """

    segment: str
    exited: int
    nowhere: int
    to: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Within:
    """How soon after leaving: before so much time has passed, or on the same day of a zone."""

    zone: ZoneInfo
    span: timedelta | None = None

    def until(self, left: datetime) -> datetime:
        """The first moment that is too late."""
        if self.span is not None:
            return left + self.span
        return begin_of(day_of(left, self.zone) + DAY, self.zone)


@dataclass(frozen=True, slots=True)
class History:
    """Questions to the intervals of all who are or were in a segment."""

    collection: Scans

    async def growth(self, segment: str, period: Period) -> Sequence[Grown]:
        """Each day of the period."""
        starts = period.starts
        entered, exited = Counter[int](), Counter[int]()
        members = 0
        async for _, intervals in self._of(segment):
            for begin, end in intervals:
                members += begin < starts[0] <= end
                _count(entered, starts, begin)
                _count(exited, starts, end)
        rows = []
        for place, day in enumerate(period.days):
            rows.append(Grown(str(day), members, entered[place], exited[place]))
            members += entered[place] - exited[place]
        return rows

    async def stays(self, segment: str, period: Period, now: datetime) -> Stays:
        """Of the intervals that ended in the period, and of those that are open now."""
        ended, ages = [], []
        async for _, intervals in self._of(segment):
            for begin, end in intervals:
                if end == FOREVER:
                    ages.append(now - begin)
                elif period.begin <= end < period.end:
                    ended.append(end - begin)
        return Stays(len(ended), median(ended), len(ages), median(ages))

    async def flows(
        self, segments: Sequence[str], period: Period, within: Within
    ) -> Sequence[Flow]:
        """Where those went who left one of the segments in the period, among the segments."""
        begin, end = period.begin, period.end
        latest = within.until(end)
        told: dict[str, list[tuple[str, Sequence[Interval]]]] = {}
        for segment in segments:
            async for customer, intervals in self._of(segment):
                if any(
                    begin <= left < end or begin <= entered <= latest for entered, left in intervals
                ):
                    told.setdefault(customer, []).append((segment, intervals))
        exits, nowhere = Counter[str](), Counter[str]()
        to: Mapping[str, Counter[str]] = {segment: Counter() for segment in segments}
        for history in told.values():
            for segment, intervals in history:
                for place, (_, left) in enumerate(intervals):
                    if begin <= left < end:
                        exits[segment] += 1
                        went = _next(history, segment, place, left, within.until(left))
                        nowhere[segment] += not went
                        to[segment].update(went)
        return [Flow(each, exits[each], nowhere[each], dict(to[each])) for each in segments]

    async def _of(self, segment: str) -> AsyncIterator[tuple[str, Sequence[Interval]]]:
        """Each customer with the intervals; ids of documents begin with the segment's name."""
        where = {"_id": {"$gte": f"{segment}|", "$lt": f"{segment}}}"}}
        async for batch in self.collection.batches(where, fields=_READ):
            for raw in batch:
                yield raw["customer"], _intervals(raw)


def _intervals(raw: Mapping[str, Any]) -> Sequence[Interval]:
    return [(each["entered"], each["exited"]) for each in raw["intervals"]]


def _count(counts: Counter[int], starts: Sequence[datetime], at: datetime) -> None:
    place = place_of(starts, at)
    if place is not None:
        counts[place] += 1


def _next(
    history: Sequence[tuple[str, Sequence[Interval]]],
    segment: str,
    place: int,
    left: datetime,
    until: datetime,
) -> Sequence[str]:
    """The segments that were entered from the moment of leaving on, and in time.

    The segment itself only by an interval that came after the one that ended.
    """
    return [
        other
        for other, intervals in history
        if any(
            left <= entered < until
            for entered, _ in (intervals[place + 1 :] if other == segment else intervals)
        )
    ]


def median(spans: list[timedelta]) -> timedelta | None:
    """The middle one, or the mean of the two in the middle, in whole milliseconds."""
    if not spans:
        return None
    spans.sort()
    middle, odd = divmod(len(spans), 2)
    if odd:
        return spans[middle]
    return (spans[middle - 1] + spans[middle]) // (2 * MILLISECOND) * MILLISECOND
