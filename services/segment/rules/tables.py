"""Tables of cut points: what makes a recency, a frequency, an amount high or low within the base.

A table says which receipts it looks at (how far back, of which branch), and holds the cut points
that were set last. They are part of the rule set, so that all workers score alike; between two
settings a score changes at the exact moment at which a receipt ages over a cut, comes or leaves.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from services.segment.rules.language.filters import Where

BEST = 5
"""Scores go from 1 to 5."""


class Scores(NamedTuple):
    """How a customer stands in a table: recency, frequency, monetary, each from 1 to 5."""

    recency: int
    frequency: int
    monetary: int

    @property
    def cell(self) -> str:
        """The three as digits: 555 are the best."""
        return f"{self.recency}{self.frequency}{self.monetary}"


class Figures(NamedTuple):
    """What a table looks at of one customer: milliseconds since the last receipt, count, sum."""

    age: int
    receipts: int
    spent: int

    @property
    def average(self) -> int:
        """The sum over the count, in whole minor units, rounded down."""
        return self.spent // self.receipts


class Standing(NamedTuple):
    """How many percent of the base stand below, in each number: 0 to 99."""

    spent: int
    receipts: int
    average: int


@dataclass(frozen=True, slots=True)
class Cuts:
    """Cut points, each ascending; equal ones leave a score that nobody has.

    Of `recency` (milliseconds) each takes one from the best score at that age; of the others each
    adds one from that value on.
    """

    recency: Sequence[int]
    frequency: Sequence[int]
    monetary: Sequence[int]

    def scores(self, figures: Figures) -> Scores:
        """The scores of a customer."""
        return Scores(
            BEST - bisect_right(self.recency, figures.age),
            1 + bisect_right(self.frequency, figures.receipts),
            1 + bisect_right(self.monetary, figures.spent),
        )


@dataclass(frozen=True, slots=True)
class Percentiles:
    """For each number 99 cut points, ascending: a customer stands above so many as it reaches."""

    spent: Sequence[int]
    receipts: Sequence[int]
    average: Sequence[int]

    def of(self, figures: Figures) -> Standing:
        """The percentiles of a customer."""
        return Standing(
            bisect_right(self.spent, figures.spent),
            bisect_right(self.receipts, figures.receipts),
            bisect_right(self.average, figures.average),
        )


@dataclass(frozen=True)
class Table:
    """A table of the chain, or of a branch; what was never set is None, and scores nobody.

    `look_back` is in milliseconds.
    """

    look_back: int
    branch: str | None = None
    cuts: Cuts | None = None
    percentiles: Percentiles | None = None

    @cached_property
    def where(self) -> Where | None:
        """The filter of its receipts."""
        return None if self.branch is None else Where(branch=(self.branch,))
