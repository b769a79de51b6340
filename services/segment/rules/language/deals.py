"""Clauses about the customer's deals."""

from collections.abc import Iterator
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator

from services.segment.rules.instants import span
from services.segment.rules.language.forms import (
    Comparison,
    Form,
    Leaf,
    Names,
    Span,
    require_count,
    wrong,
)

DEALS = "deals"
"""What a deal touches that begins, moves on, ends, or goes to another customer."""
DEALS_TERMS = "deals terms"
"""What a deal touches that is worth or about something else."""
DEALS_HOLDER = "deals holder"
"""What a deal touches that somebody else answers for."""


class DealWhere(Form):
    """Which deals count: those that satisfy every filter that is given.

    Of names, any of those that are given. `in_stage`: it is open, and has been in its stage for at
    least so long. `opened` and `closed`: that lies within the span.
    """

    state: Literal["open", "won", "lost"] | None = None
    pipeline: Names | None = None
    stage: Names | None = None
    deal_type: Names | None = None
    source: Names | None = None
    branch: Names | None = None
    responsible: Names | None = None
    amount: Comparison | None = Field(default=None, description="minor units")
    in_stage: Span | None = None
    opened: Span | None = None
    closed: Span | None = None

    @model_validator(mode="after")
    def _can_be_true(self) -> Self:
        if self.in_stage is not None and self.state not in {None, "open"}:
            raise wrong("in_stage", "only an open deal is in a stage: leave out `state`")
        if self.closed is not None and self.state == "open":
            raise wrong("closed", "an open deal is not closed: leave out one of the two")
        return self

    @cached_property
    def of_terms(self) -> bool:
        """Whether it asks what a deal is about."""
        asked = (self.deal_type, self.source, self.branch, self.amount)
        return any(each is not None for each in asked)

    @cached_property
    def staying(self) -> int | None:
        """The milliseconds of `in_stage`."""
        return None if self.in_stage is None else span(self.in_stage)

    @cached_property
    def opening(self) -> int | None:
        """The milliseconds of `opened`."""
        return None if self.opened is None else span(self.opened)

    @cached_property
    def closing(self) -> int | None:
        """The milliseconds of `closed`."""
        return None if self.closed is None else span(self.closed)


class Deals(Leaf):
    """The number of the customer's deals, won and lost ones included."""

    kind: Literal["deals"]
    where: DealWhere | None = None
    compare: Comparison

    @model_validator(mode="after")
    def _a_number_is_not_below_zero(self) -> Self:
        require_count(self.compare)
        return self

    def reads(self) -> Iterator[str]:
        """That there are deals and where they stand, and of the rest what is filtered by."""
        yield DEALS
        if self.where is not None and self.where.of_terms:
            yield DEALS_TERMS
        if self.where is not None and self.where.responsible is not None:
            yield DEALS_HOLDER
