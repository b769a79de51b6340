"""What the forms of the rule language are made of."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from services.segment.rules.instants import SPAN_PATTERN, span

LARGEST_NUMBER = 10**15
UNBOUNDED = 2**63
"""Beyond every count and every sum of money."""

THOUSANDTHS = 1_000
"""Quantities are counted in these: goods are weighed in grams."""

Bounds = tuple[int, int]
"""A closed interval of whole numbers; `UNBOUNDED` stands for no end."""


def wrong(field: str, sentence: str) -> PydanticCustomError:
    """The error for one field of a form, found when the whole form is looked at."""
    return PydanticCustomError("rule", "{sentence}", {"field": field, "sentence": sentence})


def _check_span(text: str) -> str:
    try:
        span(text)
    except ValueError as error:
        raise PydanticCustomError("rule", "{sentence}", {"sentence": str(error)}) from error
    return text


Span = Annotated[
    str,
    AfterValidator(_check_span),
    WithJsonSchema(
        {
            "type": "string",
            "format": "duration",
            "pattern": SPAN_PATTERN.replace("?P<week>", "")
            .replace("?P<day>", "")
            .replace("?P<hour>", "")
            .replace("?P<minute>", ""),
            "examples": ["P30D", "P2W", "PT36H"],
        }
    ),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Value = Annotated[str, StringConstraints(max_length=200)] | int | bool
Several = Strict(strict=False)
"""A JSON array arrives as a list, and is kept as a tuple."""
Names = Annotated[
    Annotated[tuple[Name, ...], Several], Field(min_length=1, max_length=1000)
]  # any of these


class Form(BaseModel):
    """A part of a rule: strict, closed, never changed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Leaf(Form):
    """A clause that looks at the customer."""

    @abstractmethod
    def reads(self) -> Iterator[str]:
        """What it looks at, by the names that facts and words touch; nothing else changes it."""

    def look_back(self) -> int:
        """The longest span (milliseconds) in which it asks for single facts.

        0 for none, `UNBOUNDED` for all time.
        """
        return 0

    def since(self) -> int | None:
        """The instant from which on it asks for single facts, whatever time it is, if any."""
        return None


class Comparison(Form):
    """A comparison with a whole number (a count, or minor units)."""

    op: Literal[">=", ">", "<=", "<", "=="]
    value: int = Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)

    @cached_property
    def bounds(self) -> Bounds:
        """The numbers that satisfy it."""
        return self.times(1)

    def times(self, scale: int) -> Bounds:
        """The numbers of `scale` to one that satisfy it."""
        value = self.value * scale
        return {
            ">=": (value, UNBOUNDED),
            ">": (value + 1, UNBOUNDED),
            "<=": (-UNBOUNDED, value),
            "<": (-UNBOUNDED, value - 1),
            "==": (value, value),
        }[self.op]


def require_count(compare: Comparison, field: str = "compare.value") -> None:
    """Raise for a count that is compared with less than there can be."""
    if compare.value < 0:
        raise wrong(field, "a count is compared with 0 or more")
