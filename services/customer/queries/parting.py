"""A walk in parts, where its order begins with many that do not match.

Of those who spent much, in the order of visits, hardly anybody came once. The order is cut where
the steps of the grid begin; of each part the grid's cells find exactly those in the filter's range,
or the part is walked where they are many.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from services.customer.projections.directory.grid import GRID, begins_within, cells_within
from services.customer.queries.clauses import Between, OneOf
from services.customer.queries.estimating import Walk, leading, walk_cost
from services.customer.queries.sampling import Sample

CHEAP = 1_200
"""Entries that are looked at without a thought of better ways."""
MANY = 1_000
"""Steps are taken together until they hold what is wanted, or the range finds so many in them."""
READ = 60
"""What a read costs beside what it looks at, in entries."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a walk; `cells` find all that match in it, and about `celled` entries."""

    walk: Walk
    cells: OneOf | None = None
    celled: float = float("inf")


def parts_of(sample: Sample, walk: Walk, wanted: int) -> Iterator[Part]:
    """The parts of a walk in its order; it is its only one, where that is cheap enough."""
    column = _gridded(walk.span)
    ranges = [
        clause
        for clause in walk.clauses
        if isinstance(clause, Between) and _gridded(clause) not in {None, column}
    ]
    if column is None or not ranges or _cheap(sample, walk, wanted):
        yield Part(walk)
        return
    other = min(ranges, key=lambda each: len(sample.within(each)))
    for span, found in _spans(sample, walk, other, wanted):
        yield Part(
            replace(walk, span=span), _cells(column, span, other), found * sample.weight + READ
        )


def _cheap(sample: Sample, walk: Walk, wanted: int) -> bool:
    cost = walk_cost(sample, walk, wanted)
    return cost <= CHEAP or leading(sample, walk, wanted, CHEAP) is not None


def _gridded(clause: Between) -> str | None:
    column = clause.path.removeprefix("sort.")
    return column if column in GRID else None


def _cells(column: str, span: Between, other: Between) -> OneOf:
    marks = cells_within(
        column, (span.low, span.high), _gridded(other) or "", (other.low, other.high)
    )
    return OneOf("marks", frozenset(marks), several=True, marks=tuple(marks))


def _spans(
    sample: Sample, walk: Walk, other: Between, wanted: int
) -> Iterator[tuple[Between, int]]:
    """Some steps each, and how many of the sample's entries in them are in the other range."""
    for low, high in _joined(sample, walk, other, wanted):
        span = replace(walk.span, low=low, high=high)
        yield span, sum(sample.hits(span, [other]))


def _joined(sample: Sample, walk: Walk, other: Between, wanted: int) -> Iterator[tuple[str, str]]:
    span = walk.span
    cuts = [span.low, *begins_within(_gridded(span) or "", span.low, span.high), span.high]
    steps: Sequence[tuple[str, str]] = list(pairwise(cuts))
    pending: tuple[str, str] | None = None
    for low, high in reversed(steps) if walk.descending else steps:
        if pending is None:
            pending = (low, high)
        else:
            pending = (low, pending[1]) if walk.descending else (pending[0], high)
        joined = replace(span, low=pending[0], high=pending[1])
        found = sum(sample.hits(joined, [other])) * sample.weight
        matching = sum(sample.hits(joined, walk.clauses)) * sample.weight
        if matching >= wanted or found >= MANY:
            yield pending
            pending = None
    if pending is not None:
        yield pending
