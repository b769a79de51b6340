"""Which facts count: the filters of a `where`, and which of them a kind of fact has."""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from services.segment.rules.language.forms import (
    Comparison,
    Form,
    Name,
    Names,
    Several,
    Value,
    wrong,
)
from services.segment.rules.language.kinds import FACT_KINDS

Values = Annotated[Annotated[tuple[Value, ...], Several], Field(min_length=1, max_length=1000)]
NAMES = (
    "branch", "source", "state", "channel", "employee", "till", "service", "carrier", "about",
    "department", "survey", "page", "session", "code", "campaign", "link",
)  # fmt: skip
"""Filters that are lists of names, of which the fact has one; beside products and categories."""
NUMBERS = ("total", "minutes", "seconds", "score", "scroll")
"""Filters that compare a number of the fact; without that number it does not pass."""


class Scored(Form):
    """A question of the survey was answered by a score that compares so."""

    question: Name
    score: Comparison


class Where(Form):
    """Which facts count: those that satisfy every filter that is given.

    `product` and `category` must be satisfied by one and the same line; a category by any on the
    way from the root of the tree to the product's own, as they were when it was sold.
    """

    branch: Names | None = Field(default=None, description="any of these branches")
    source: Names | None = Field(default=None, description="the system that reported it")
    state: Names | None = Field(default=None, description="what it came to")
    channel: Names | None = None
    employee: Names | None = Field(default=None, description="of a receipt the cashier")
    till: Names | None = None
    service: Names | None = None
    carrier: Names | None = None
    about: Names | None = None
    department: Names | None = None
    survey: Names | None = None
    page: Names | None = None
    session: Names | None = None
    code: Names | None = None
    campaign: Names | None = None
    link: Names | None = None
    product: Names | None = None
    category: Names | None = None
    direction: Literal["in", "out"] | None = Field(
        default=None, description="from the customer, or to the customer"
    )
    answered: bool | None = None
    coupon: bool | Names | None = Field(
        default=None,
        description="whether a line has a coupon's discount other than 0; or any of these codes",
    )
    total: Comparison | None = Field(default=None, description="minor units")
    minutes: Comparison | None = None
    seconds: Comparison | None = None
    score: Comparison | None = None
    scroll: Comparison | None = Field(default=None, description="percent of the page")
    answer: Scored | None = None
    extra: dict[Name, Values] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="the source's own fields: each has one of its values",
    )

    @model_validator(mode="after")
    def _filters_something(self) -> Self:
        if not self.given:
            message = "names no filter: give one, such as branch, or leave it out"
            raise PydanticCustomError("rule", "{sentence}", {"sentence": message})
        return self

    @cached_property
    def given(self) -> tuple[str, ...]:
        """The filters that are given."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)

    @cached_property
    def key(self) -> str:
        """The same for every `where` that says the same."""
        return self.model_dump_json(exclude_none=True)


def fitting(kind: str, where: Where | None, place: str) -> None:
    """Raise the error for a filter, at the place of the `where`, that facts of a kind have not."""
    known = FACT_KINDS[kind]
    for name in () if where is None else where.given:
        if name not in known.filters:
            allowed = ", ".join(sorted(known.filters))
            raise wrong(f"{place}.{name}", f"is no filter of {kind}; these are: {allowed}")
    for state in () if where is None else where.state or ():
        if state not in known.states:
            allowed = ", ".join(known.states)
            raise wrong(f"{place}.state", f"of {kind} is one of: {allowed}")
