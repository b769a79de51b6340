"""A few hundred entries that stand for all: how many a filter finds, and where a range may be cut.

SecantusDB reads a whole range of an index before it sorts or limits, so a page is read in slices
that are cut at keys of the sample. MongoDB needs no slices, and loses nothing by them. An old
sample makes slices uneven and choices poorer, and no answer wrong.

The entries of a small range of `dice` are a fair sample of all that are on a shelf. Ids would not
do: keys end with them, so where many share a value all cuts would lie close together.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from services.customer.projections.directory.keys import HIGHEST
from services.customer.queries.clauses import Between, Clause, found_at
from shared.eventstore import StoreUnavailable
from shared.mongo import Collection

WANTED = 2_000
OLDEST_SECONDS = 60.0
MOST_MASKS = 1_000
FEW_TIMES = 5
DIGITS = 8
ALL_DIGITS = 16**DIGITS
FIELDS: Mapping[str, Any] = {"versions": 0, "contacts": 0, "found_by": 0, "at_branches": 0}


@dataclass(frozen=True, slots=True)
class Sample:
    """Some entries; each stands for `weight` of them."""

    entries: Sequence[Mapping[str, Any]]
    weight: float
    _orders: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    _masks: dict[Clause, int] = field(default_factory=dict)

    def matching(self, clauses: Sequence[Clause]) -> int:
        """How many of the sample's entries are found."""
        return self._both(clauses).bit_count()

    def _both(self, clauses: Sequence[Clause]) -> int:
        found = (1 << len(self.entries)) - 1
        for clause in clauses:
            found &= self._mask(clause)
        return found

    def _mask(self, clause: Clause) -> int:
        """A bit for each entry for which the clause holds: looked at once, and remembered."""
        mask = self._masks.get(clause)
        if mask is None:
            if len(self._masks) >= MOST_MASKS:
                self._masks.clear()
            mask = self._masks[clause] = int("0" + "".join(self._bits(clause)), 2)
        return mask

    def _bits(self, clause: Clause) -> Sequence[str]:
        if not isinstance(clause, Between):
            return ["1" if clause.holds(each) else "0" for each in self.entries]
        bits = ["0"] * len(self.entries)
        for _, index in self._inside(clause):
            bits[index] = "1"
        return bits

    def within(self, span: Between) -> Sequence[str]:
        """The keys of a column in the sample that lie inside, in order: where it may be cut."""
        return [key for key, _ in self._inside(span)]

    def hits(self, span: Between, clauses: Sequence[Clause]) -> Sequence[bool]:
        """For the entries of a column's span, in its order, whether all the clauses hold."""
        inside = self._inside(span)
        if len(inside) * FEW_TIMES < len(self.entries):
            # What is asked once, as words that are typed, is not worth a look at every entry.
            looked_at = [self.entries[index] for _, index in inside]
            return [all(clause.holds(each) for clause in clauses) for each in looked_at]
        bits = f"{self._both(clauses):0{len(self.entries)}b}"
        return [bits[index] == "1" for _, index in inside]

    def _inside(self, span: Between) -> Sequence[tuple[str, int]]:
        ordered = self._orders.get(span.path)
        if ordered is None:
            found = ((found_at(each, span.path), n) for n, each in enumerate(self.entries))
            ordered = sorted((key, n) for key, n in found if isinstance(key, str))
            self._orders[span.path] = ordered
        return ordered[bisect_left(ordered, (span.low, 0)) : bisect_left(ordered, (span.high, 0))]

    def estimate(self, clauses: Sequence[Clause]) -> float:
        """About how many entries of all are found."""
        return self.matching(clauses) * self.weight


@dataclass(slots=True)
class Sampler:
    """Takes a sample, and another one when it is old."""

    collection: Collection
    _sample: Sample | None = None
    _taken_at: float = 0.0
    _renewal: "asyncio.Task[None] | None" = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def sample(self) -> Sample:
        """A sample; when it is a minute old, another one is taken meanwhile."""
        now = asyncio.get_running_loop().time()
        known = self._sample
        if known is None:
            async with self._lock:
                known = self._sample or await self._renewed(now)
        elif now - self._taken_at > OLDEST_SECONDS and (
            self._renewal is None or self._renewal.done()
        ):
            self._renewal = asyncio.create_task(self._renew(now))
        return known

    async def _renew(self, now: float) -> None:
        async with self._lock:
            with suppress(StoreUnavailable):
                await self._renewed(now)

    async def _renewed(self, now: float) -> Sample:
        self._sample, self._taken_at = await self._take(), now
        return self._sample

    async def _take(self) -> Sample:
        total = await self.collection.estimate()
        if total <= WANTED:
            entries = await self.collection.find({}, fields=FIELDS)
            return Sample(entries, 1.0)
        width = max(1, ALL_DIGITS * WANTED // total)
        low = ALL_DIGITS // 4
        span = {
            "$gte": f"{low:0{DIGITS}x}",
            "$lt": f"{min(low + width, ALL_DIGITS - 1):0{DIGITS}x}",
        }
        entries = await self.collection.find({"dice": span}, fields=FIELDS)
        return Sample(entries, total / max(1, len(entries)))


def everything(path: str, shelf: str) -> Between:
    """All keys of a column on a shelf."""
    return Between(path, shelf, shelf + HIGHEST)
