"""Clauses about what happened with the customer."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from services.segment.rules.instants import span
from services.segment.rules.language.forms import (
    Bounds,
    Comparison,
    Form,
    Leaf,
    Name,
    Several,
    Span,
    wrong,
)

RECEIPTS = "receipts"
"""What a receipt touches."""

FilterKey = tuple[frozenset[str] | None, bool | None, Bounds | None]


class Where(Form):
    """Which receipts count: those that satisfy every filter that is given."""

    branch: Annotated[tuple[Name, ...], Several] | None = Field(
        default=None, min_length=1, max_length=1000, description="any of these branches"
    )
    coupon: bool | None = Field(
        default=None, description="whether a line has a coupon's discount other than 0"
    )
    total: Comparison | None = Field(default=None, description="the receipt's total, minor units")

    @model_validator(mode="after")
    def _filters_something(self) -> Self:
        if self.branch is None and self.coupon is None and self.total is None:
            raise PydanticCustomError(
                "rule", "names no filter: give branch, coupon or total, or leave it out"
            )
        return self

    @cached_property
    def key(self) -> FilterKey:
        """The same for every `where` that lets the same receipts through."""
        branches = None if self.branch is None else frozenset(self.branch)
        return branches, self.coupon, None if self.total is None else self.total.bounds


class Receipts(Leaf):
    """The number, or the sum of the totals, of receipts within a span or ever."""

    kind: Literal["receipts"]
    aggregate: Literal["count", "sum"]
    within: Span | None = Field(default=None, description="looks back this far; ever when absent")
    where: Where | None = None
    compare: Comparison

    @model_validator(mode="after")
    def _can_be_kept_current(self) -> Self:
        if self.where is not None and self.within is None:
            raise wrong("within", "is needed beside `where`: filtered receipts have no 'ever' yet")
        if self.aggregate == "count" and self.compare.value < 0:
            raise wrong("compare.value", "a count is compared with 0 or more")
        return self

    @cached_property
    def span(self) -> int | None:
        """The milliseconds of `within`."""
        return None if self.within is None else span(self.within)

    def reads(self) -> Iterator[str]:
        """Receipts."""
        yield RECEIPTS

    def look_back(self) -> int:
        """As far as `within`."""
        return self.span or 0


class FirstReceipt(Leaf):
    """The first receipt ever lies within the span."""

    kind: Literal["first_receipt"]
    within: Span

    @cached_property
    def span(self) -> int:
        """The milliseconds of `within`."""
        return span(self.within)

    def reads(self) -> Iterator[str]:
        """Receipts."""
        yield RECEIPTS
