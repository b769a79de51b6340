"""A page of the list, and a count, at a cost that does not grow with the list.

Two ways lead to a page: along the column's index slice by slice, testing each entry; or by an index
that finds few enough, all of them at once, sorted by the server. The sample says which is cheaper
(`estimating.py`). Both give the same page: the order is that of one unique key.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from services.customer.queries.clauses import Between, Clause, OneOf, flat
from services.customer.queries.estimating import Walk, leading, share_of
from services.customer.queries.sampling import Sample
from shared.mongo import Collection
from shared.readmodel import RawDocument

SLICE = 2_500
"""Most keys that one slice is meant to have."""
SPARE = 1.3
"""A little more than is needed on average: most pages take one slice."""
COUNTED = 10_000
"""Counts are exact up to here."""


@dataclass(frozen=True, slots=True)
class Walker:
    """Reads the list's collection; `indexed` are the paths of columns that have an index."""

    collection: Collection

    async def page(self, sample: Sample, walk: Walk, limit: int) -> list[RawDocument]:
        """The first entries of the span, in its order."""
        leader = leading(sample, walk, limit)
        if leader is not None:
            return await self._at_once(leader, walk, limit)
        found: list[RawDocument] = []
        pieces = Slices(sample, walk)
        while len(found) < limit and (piece := pieces.following(limit - len(found))) is not None:
            found += await self.collection.find(
                flat([piece, *walk.clauses]), sort=_order(walk), limit=limit - len(found)
            )
        return found

    async def _at_once(self, leader: Clause, walk: Walk, limit: int) -> list[RawDocument]:
        return await self.collection.find(
            led_by(leader, [*walk.clauses, walk.span]),
            sort=_order(walk),
            limit=limit,
        )

    async def count(self, sample: Sample, walk: Walk) -> int:
        """How many there are, counted up to one more than `COUNTED`."""
        leader = leading(sample, walk, COUNTED)
        if leader is not None:
            where = led_by(leader, [*walk.clauses, walk.span])
            return await self.collection.count(where, COUNTED + 1)
        counted, most = 0, COUNTED + 1
        pieces = Slices(sample, walk)
        while counted < most and (piece := pieces.following(most - counted)) is not None:
            counted += await self.collection.count(flat([piece, *walk.clauses]), most - counted)
        return counted


def _order(walk: Walk) -> Sequence[tuple[str, int]]:
    return [(walk.span.path, -1 if walk.descending else 1)]


def led_by(leader: Clause, clauses: Sequence[Clause]) -> dict[str, Any]:
    """The filter in which the leader stands first, by its marks where it has some."""
    if isinstance(leader, OneOf):
        return {"marks": {"$in": list(leader.marks)}, **flat(clauses)}
    return flat([leader, *clauses])


@dataclass(slots=True)
class Slices:
    """Cuts the span of a walk at keys of the sample, each piece as wide as what is missing."""

    sample: Sample
    walk: Walk
    _share: float = field(init=False)
    _cuts: Sequence[str] = field(init=False)
    _reached: int = 0
    _wider: float = SPARE
    _begin: str | None = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is cut yet."""
        span = self.walk.span
        self._share = share_of(self.sample, self.walk)
        cuts = self.sample.within(span)
        self._cuts = list(reversed(cuts)) if self.walk.descending else cuts
        self._begin = span.high if self.walk.descending else span.low

    def following(self, missing: int) -> Between | None:
        """The next piece, for so many entries; None at the end."""
        if self._begin is None:
            return None
        keys = missing / self._share * self._wider / self.sample.weight
        self._wider *= 2
        self._reached += max(1, min(math.ceil(keys), int(SLICE / self.sample.weight)))
        last = self._reached >= len(self._cuts)
        begin, span = self._begin, self.walk.span
        if self.walk.descending:
            end = span.low if last else self._cuts[self._reached]
            piece = Between(span.path, end, begin)
        else:
            end = span.high if last else self._cuts[self._reached]
            piece = Between(span.path, begin, end)
        self._begin = None if last else end
        return piece
