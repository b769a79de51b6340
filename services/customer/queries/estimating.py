"""What a way to a page costs, in entries that the server has to look at: as the sample tells."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from services.customer.queries.clauses import Begins, Between, Clause, OneOf
from services.customer.queries.sampling import Sample


@dataclass(frozen=True, slots=True)
class Walk:
    """What is read: the clauses, and the column's span that gives the order."""

    clauses: Sequence[Clause]
    span: Between
    descending: bool = False


def leading(sample: Sample, walk: Walk, wanted: int, tested: float | None = None) -> Clause | None:
    """The clause whose index finds fewer entries than are tested otherwise; None where none does.

    `tested` is how many, if it is not the walk that would test them.
    """
    tested = walk_cost(sample, walk, wanted) if tested is None else tested
    best: Clause | None = None
    for clause in walk.clauses:
        if not leads(clause):
            continue
        if isinstance(clause, Between):
            found = len(sample.within(clause))
        else:
            found = sample.matching([clause])
        cost = (found + 1) * sample.weight
        if cost < tested:
            best, tested = clause, cost
    return best


def leads(clause: Clause) -> bool:
    """Whether an index finds what the clause is about."""
    match clause:
        case OneOf(marks=marks):
            return bool(marks)
        case Between(path=path):
            return path.startswith("sort.") and not path.startswith("sort.custom_")
        case Begins():
            return False


def walk_cost(sample: Sample, walk: Walk, wanted: int) -> float:
    """About how many entries the walk tests before it has what is wanted.

    The sample is walked instead. Its first few matches tell little of where matches begin, so twice
    is looked, the second time four times as far; the worse one counts.
    """
    hits = sample.hits(walk.span, walk.clauses)
    inside = (len(hits) + 1) * sample.weight
    places = [place for place, hit in enumerate(_in_order(hits, walk), 1) if hit]
    enough = max(1, math.ceil(wanted / sample.weight))
    costs = [
        places[count - 1] * sample.weight * min(1.0, wanted / (count * sample.weight))
        for count in (enough, 4 * enough)
        if count <= len(places)
    ]
    return min(inside, max(costs, default=inside))


def _in_order(hits: Sequence[bool], walk: Walk) -> Sequence[bool]:
    return hits[::-1] if walk.descending else hits


def share_of(sample: Sample, walk: Walk) -> float:
    """The part of the span's entries that match; never none."""
    hits = sample.hits(walk.span, walk.clauses)
    return (sum(hits) + 0.5) / (len(hits) + 1)
