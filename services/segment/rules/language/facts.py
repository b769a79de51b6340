"""Clauses about what happened with the customer."""

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from services.segment.rules.instants import instant, span
from services.segment.rules.language.filters import Where, fitting
from services.segment.rules.language.forms import (
    THOUSANDTHS,
    UNBOUNDED,
    Bounds,
    Comparison,
    Form,
    Leaf,
    Span,
    require_count,
    wrong,
)
from services.segment.rules.language.kinds import FACT_KINDS, RECEIPTS, FactsName
from shared.clock import to_milliseconds
from shared.events.contract import show_moment

Aggregate = Literal["count", "sum", "average", "min", "max", "distinct", "first", "last"]
ENDS = ("first", "last")
COUNTING = ("count", "distinct")
_FIRST_RECEIPT = "first_receipt"
_JOINED = ("clauses", "clause")


def _check_moment(text: str) -> str:
    try:
        return show_moment(to_milliseconds(datetime.fromisoformat(text)))
    except ValueError as error:
        sentence = (
            "write a moment with its zone, such as 2026-03-01T00:00:00+03:00, in the years 1 to"
            " 9999 of UTC"
        )
        raise PydanticCustomError("rule", "{sentence}", {"sentence": sentence}) from error


MomentText = Annotated[
    str,
    AfterValidator(_check_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Between(Form):
    """From one moment on, until just before another."""

    begin: MomentText = Field(alias="from")
    end: MomentText = Field(alias="to")

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.bounds[0] >= self.bounds[1]:
            raise wrong("to", "is later than `from`")
        return self

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """The instants: the first that is inside, and the first that is not any more."""
        begin, end = (datetime.fromisoformat(each) for each in (self.begin, self.end))
        return instant(begin), instant(end)


class Windowed(Leaf):
    """A clause about facts within a span that ends now, between two moments, or ever."""

    within: Span | None = Field(default=None, description="looks back this far")
    between: Between | None = None

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if self.within is not None and self.between is not None:
            raise wrong("between", "is not given beside `within`: leave one of them out")
        return self

    @cached_property
    def span(self) -> int | None:
        """The milliseconds of `within`."""
        return None if self.within is None else span(self.within)

    @property
    def ever(self) -> bool:
        """Whether there is no window."""
        return self.within is None and self.between is None


class Facts(Windowed):
    """What facts of one kind come to, or when the first or last of them was.

    `sum`, `average`, `min` and `max` are of a number (absent: the first of the kind's), `distinct`
    of a thing. Of nothing there is no average, least or greatest, and the clause is false.
    """

    kind: FactsName
    aggregate: Aggregate
    of: str | None = Field(default=None, description="a number, or a thing to be distinct")
    where: Where | None = None
    having: Where | None = Field(
        default=None, description="what the first or last of those that pass `where` is like"
    )
    compare: Comparison | None = Field(default=None, description="not of `first` and `last`")

    @model_validator(mode="after")
    def _says_what_is_compared(self) -> Self:
        if self.aggregate in ENDS:
            if self.compare is not None:
                raise wrong("compare", f"is not part of `{self.aggregate}`, which is or is not")
            if self.ever:
                raise wrong("within", f"is needed to say when the {self.aggregate} one was")
        elif self.compare is None:
            raise wrong("compare", "is needed")
        elif self.having is not None:
            raise wrong("having", "is asked of `first` and `last` alone; give it in `where`")
        elif self.aggregate in COUNTING:
            require_count(self.compare)
        return self

    @model_validator(mode="after")
    def _fits_the_kind(self) -> Self:
        known = FACT_KINDS[self.kind]
        allowed: tuple[str, ...] = ()
        if self.aggregate == "distinct":
            allowed = known.things
            if self.of is None:
                raise wrong("of", f"is needed; distinct can be: {', '.join(allowed)}")
        elif self.aggregate not in (*ENDS, "count"):
            allowed = known.numbers
            if not allowed:
                raise wrong("aggregate", f"{self.kind} have no number: count them")
        if self.of is not None and self.of not in allowed:
            told = f"of {self.kind} can be: {', '.join(allowed)}" if allowed else "is not needed"
            raise wrong("of", f"{told}, for `{self.aggregate}`")
        fitting(self.kind, self.where, "where")
        fitting(self.kind, self.having, "having")
        return self

    @cached_property
    def number(self) -> str:
        """The number or thing that is meant."""
        return self.of or (FACT_KINDS[self.kind].numbers or ("",))[0]

    @cached_property
    def scale(self) -> int:
        """How much of what is counted is one of what is compared: quantities are thousandths."""
        measured = self.aggregate not in (*COUNTING, *ENDS)
        return THOUSANDTHS if measured and self.number == "quantity" else 1

    @cached_property
    def bounds(self) -> Bounds:
        """The numbers, as they are counted, that satisfy the comparison."""
        return (0, UNBOUNDED) if self.compare is None else self.compare.times(self.scale)

    @cached_property
    def by_totals(self) -> bool:
        """Whether what is counted of all time answers it, however long ago it was."""
        known = FACT_KINDS[self.kind]
        if not known.totals or self.where is not None:
            return False
        if self.aggregate == "first":
            return self.having is None
        numbers = known.numbers[:1] if self.aggregate == "sum" else ("",)
        plain = self.aggregate == "count" or (self.aggregate == "sum" and self.number in numbers)
        return self.ever and plain

    @cached_property
    def of_counted(self) -> bool:
        """Whether every fact that it asks for is among those that are counted for ever."""
        named = self.where is not None and self.where.state is not None
        return FACT_KINDS[self.kind].totals and not named

    def reads(self) -> Iterator[str]:
        """Facts of its kind."""
        yield self.kind

    def look_back(self) -> int:
        """As far as `within`; the first of some facts is known if all time is."""
        if self.by_totals:
            return 0
        if self.aggregate == "first" and (self.where is not None or self._untold):
            return UNBOUNDED
        return UNBOUNDED if self.ever else self.span or 0

    def since(self) -> int | None:
        """The beginning of `between`."""
        return None if self.between is None or self.by_totals else self.between.bounds[0]

    @property
    def _untold(self) -> bool:
        return not FACT_KINDS[self.kind].totals


class Which(Form):
    """Facts of a kind, or some of them."""

    facts: FactsName
    where: Where | None = None

    @model_validator(mode="after")
    def _fits_the_kind(self) -> Self:
        fitting(self.facts, self.where, "where")
        return self


class Sequence(Windowed):
    """Some `first` fact has so many of `then` after it, or before it, at most `gap` away.

    Facts of one moment are neither before nor after each other. What may still come is waited for:
    *visited and did not buy within 7 days after* is true from 7 days after the visit on.
    """

    kind: Literal["sequence"]
    first: Which
    then: Which
    direction: Literal["after", "before"]
    gap: Span
    compare: Comparison

    @model_validator(mode="after")
    def _can_become_true(self) -> Self:
        require_count(self.compare)
        if self.span is not None and self.wait >= self.span:
            raise wrong("within", "is longer than `gap`, after which alone it is known")
        return self

    @cached_property
    def reach(self) -> int:
        """The milliseconds of `gap`."""
        return span(self.gap)

    @cached_property
    def wait(self) -> int:
        """How long after a first fact its count is not known to stay as it is compared."""
        open_ended = self.compare.bounds[1] == UNBOUNDED
        return 0 if self.direction == "before" or open_ended else self.reach

    def reads(self) -> Iterator[str]:
        """Facts of both kinds."""
        yield self.first.facts
        if self.then.facts != self.first.facts:
            yield self.then.facts

    def look_back(self) -> int:
        """As far as `within`, and before the first facts as far as `gap`."""
        if self.ever:
            return UNBOUNDED
        if self.span is None:
            return 0
        return self.span + (self.reach if self.direction == "before" else 0)

    def since(self) -> int | None:
        """The beginning of `between`, and before that as far as `gap`."""
        if self.between is None:
            return None
        return self.between.bounds[0] - (self.reach if self.direction == "before" else 0)


def as_it_is_said_now(raw: Any) -> Any:  # noqa: ANN401 - any JSON value
    """JSON of a rule, with forms of old put into the words of today; they are in logs for ever."""
    if not isinstance(raw, dict):
        return raw
    said = {name: _joined_now(raw[name]) if name in _JOINED else raw[name] for name in raw}
    if said.get("kind") == _FIRST_RECEIPT:
        said |= {"kind": RECEIPTS, "aggregate": "first"}
    return said


def _joined_now(raw: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Clauses are one list at most: lists in lists are no rule, however deep they go."""
    if isinstance(raw, list | tuple):
        return [as_it_is_said_now(each) for each in raw]
    return as_it_is_said_now(raw)
