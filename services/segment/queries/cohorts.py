"""Who is active, new, returning and lost in each month, and how many of each cohort come again.

A month is one of the zone. N is the months of silence after which somebody counts as lost.

    active      has a receipt in the month
    new         the first receipt ever lies in it
    returning   active, not new, and without a receipt in the N months before
    lost        the N months that end with this one, and no more, are without a receipt
    base        has a receipt in the N months that end with this one

So of every month: base = base of the month before + new + returning - lost. A month that is not
over loses nobody yet. Everything follows from when the receipts were that stand now: what was
voided, or moved to another customer, never counted here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from services.segment.queries.calendar import MONTHS, month_of, months_of, show_month
from services.segment.queries.moments import Receipts, everybody, known_since, receipts_of
from shared.readmodel import RawDocument, Scans

Numbers = npt.NDArray[np.int64]


def _zeros() -> Numbers:
    return np.zeros(MONTHS, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """One month; `known` are all who were registered or had bought by its end."""

    month: str
    known: int
    active: int
    new: int
    returning: int
    lost: int
    base: int


@dataclass(frozen=True, slots=True)
class Cohort:
    """Who bought for the first time in a month; `active[k]`: bought in the k-th month after it."""

    month: str
    active: Sequence[int]


@dataclass(frozen=True, slots=True)
class Seasons:
    """Which customer bought in which month, one pair for each; by customer and then by month.

    `before` is how many months earlier the same customer bought, 0 for the first of them; `after`
    how many months later, 0 for the last; `first` is the first month of that customer.
    """

    owners: Numbers
    months: Numbers
    before: Numbers
    after: Numbers
    first: Numbers


def seasons_of(receipts: Receipts, zone: ZoneInfo) -> Seasons:
    """The months in which the customers bought."""
    pairs = np.unique(receipts.owners * MONTHS + months_of(receipts.moments, zone))
    owners, months = pairs // MONTHS, pairs % MONTHS
    same = owners[1:] == owners[:-1]
    gaps = np.where(same, months[1:] - months[:-1], 0)
    before, after = np.zeros_like(months), np.zeros_like(months)
    before[1:], after[:-1] = gaps, gaps
    starts = np.flatnonzero(before == 0)
    lengths = np.diff(np.append(starts, len(months)))
    return Seasons(owners, months, before, after, np.repeat(months[starts], lengths))


@dataclass(slots=True)
class Tally:
    """Adds up seasons month by month; `present` is the month that is not over."""

    silence: int
    present: int
    active: Numbers = field(default_factory=_zeros)
    new: Numbers = field(default_factory=_zeros)
    returning: Numbers = field(default_factory=_zeros)
    lost: Numbers = field(default_factory=_zeros)
    known: Numbers = field(default_factory=_zeros)

    def add(self, seasons: Seasons) -> None:
        """Take in some customers."""
        months, before, after = seasons.months, seasons.before, seasons.after
        self.active += _counts(months)
        self.new += _counts(months[before == 0])
        self.returning += _counts(months[before > self.silence])
        silent = months[(after == 0) | (after > self.silence)] + self.silence
        self.lost += _counts(silent[silent < self.present])

    def know(self, since: Numbers) -> None:
        """Take in when customers became known."""
        self.known += _counts(since)

    def rows(self, first: int, last: int) -> Sequence[MonthFigures]:
        """The figures of the months, both ends included."""
        base = np.cumsum(self.new + self.returning - self.lost)
        known = np.cumsum(self.known)
        return [
            MonthFigures(
                show_month(month),
                int(known[month]),
                int(self.active[month]),
                int(self.new[month]),
                int(self.returning[month]),
                int(self.lost[month]),
                int(base[month]),
            )
            for month in range(first, last + 1)
        ]


@dataclass(frozen=True, slots=True)
class Cohorts:
    """Questions to the months in which customers bought."""

    collection: Scans
    zone: ZoneInfo

    async def months(
        self, branch: str | None, first: int, last: int, silence: int, now: datetime
    ) -> Sequence[MonthFigures]:
        """The figures of each month; at one branch, all of them are of receipts there alone."""
        tally = Tally(silence, month_of(now, self.zone))
        async for people in everybody(self.collection):
            seasons = seasons_of(receipts_of(people, branch), self.zone)
            tally.add(seasons)
            firsts = seasons.months[seasons.before == 0]
            tally.know(firsts if branch else _known(people, seasons, self.zone))
        return tally.rows(first, last)

    async def retention(self, branch: str | None, first: int, last: int) -> Sequence[Cohort]:
        """Of who bought for the first time in each month: who bought in which month after it.

        Each cohort is followed up to `last`.
        """
        width = last - first + 1
        counts = np.zeros(width * width, dtype=np.int64)
        async for people in everybody(self.collection):
            seasons = seasons_of(receipts_of(people, branch), self.zone)
            inside = (seasons.first >= first) & (seasons.months <= last)
            place = (seasons.first - first) * width + (seasons.months - seasons.first)
            counts += np.bincount(place[inside], minlength=width * width)
        rows = counts.reshape(width, width)
        return [
            Cohort(show_month(first + number), [int(each) for each in row[: width - number]])
            for number, row in enumerate(rows)
        ]


def _known(people: Sequence[RawDocument], seasons: Seasons, zone: ZoneInfo) -> Numbers:
    """The months in which customers became known: registered, or with the first receipt."""
    firsts = seasons.before == 0
    since = np.full(len(people), MONTHS, dtype=np.int64)
    since[seasons.owners[firsts]] = seasons.months[firsts]
    registered = {
        place: at for place, raw in enumerate(people) if (at := known_since(raw)) is not None
    }
    there = np.fromiter(registered, dtype=np.int64)
    moments = np.fromiter(registered.values(), dtype=np.int64)
    since[there] = np.minimum(since[there], months_of(moments, zone))
    known: Numbers = since[since < MONTHS]
    return known


def _counts(months: Numbers) -> Numbers:
    return np.bincount(months, minlength=MONTHS).astype(np.int64)
