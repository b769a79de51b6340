"""Clauses about where the customer stands among all, by a table of cut points (`rules/tables.py`).

Of a customer without a receipt within the table's look-back, and while a table has no cut points,
every one of them is false.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from services.segment.rules.language.forms import Comparison, Leaf, Name, Several, wrong
from services.segment.rules.language.kinds import RECEIPTS

BEST_SCORE, HIGHEST_PERCENT = 5, 100


class _OfTable(Leaf):
    table: Name = Field(description="the name of a table of cut points")

    def reads(self) -> Iterator[str]:
        """Receipts."""
        yield RECEIPTS


class Rfm(_OfTable):
    """A score, from 1 to 5 (the best)."""

    kind: Literal["rfm"]
    score: Literal["recency", "frequency", "monetary"]
    compare: Comparison

    @model_validator(mode="after")
    def _is_a_score(self) -> Self:
        if not 1 <= self.compare.value <= BEST_SCORE:
            raise wrong("compare.value", "a score is compared with 1 to 5")
        return self


Cell = Annotated[str, Field(pattern=r"^[1-5]{3}$")]


class RfmCell(_OfTable):
    """The scores of recency, frequency and monetary, as three digits, are one of these cells."""

    kind: Literal["rfm_cell"]
    cells: Annotated[tuple[Cell, ...], Several] = Field(min_length=1, max_length=125)

    @cached_property
    def wanted(self) -> frozenset[str]:
        """The cells."""
        return frozenset(self.cells)


class Percentile(_OfTable):
    """How many percent of all buyers stand below, in what they spent, how often, or per receipt.

    From 0 to 99: whoever is at 90 or more is among the highest tenth.
    """

    kind: Literal["percentile"]
    of: Literal["spent", "receipts", "average"]
    compare: Comparison

    @model_validator(mode="after")
    def _is_a_percentage(self) -> Self:
        if not 0 <= self.compare.value <= HIGHEST_PERCENT:
            raise wrong("compare.value", "a percentile is compared with 0 to 100")
        return self
