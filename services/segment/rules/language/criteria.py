"""What may be asked of a value that is known of the customer."""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from services.segment.rules.days import parsed
from services.segment.rules.language.forms import (
    LARGEST_NUMBER,
    Comparison,
    Form,
    Several,
    Value,
    wrong,
)

Part = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Number = Annotated[int, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]


class Is(Form):
    """Known, and equal to the value; of a field with several values, one of them is."""

    op: Literal["is"]
    value: Value


class IsNot(Form):
    """Unknown, or another value: true wherever `is` is false."""

    op: Literal["is_not"]
    value: Value


class IsAnyOf(Form):
    """Known, and equal to one of the values."""

    op: Literal["any_of"]
    values: Annotated[tuple[Value, ...], Several] = Field(min_length=1, max_length=1000)


class Contains(Form):
    """Known, and this is somewhere in the text; capital letters are as good as small ones."""

    op: Literal["contains"]
    value: Part

    @cached_property
    def folded(self) -> str:
        """Without a difference between capital and small letters."""
        return self.value.casefold()


class Begins(Form):
    """Known, and the text begins with this; capital letters are as good as small ones."""

    op: Literal["begins"]
    value: Part

    @cached_property
    def folded(self) -> str:
        """Without a difference between capital and small letters."""
        return self.value.casefold()


class Between(Form):
    """Known, and between two numbers, or two dates such as 2017-12-31, both included."""

    op: Literal["between"]
    low: Number | str
    high: Number | str

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for place, end in (("low", self.low), ("high", self.high)):
            if isinstance(end, str) and parsed(end) is None:
                raise wrong(place, "is a number, or a date such as 2017-12-31")
        if isinstance(self.low, str) is not isinstance(self.high, str):
            raise wrong("high", "is a number where `low` is one, and a date where that is one")
        if str(self.low) > str(self.high) if isinstance(self.low, str) else self.above(self.high):
            raise wrong("high", "is not before `low`")
        return self

    @property
    def dates(self) -> bool:
        """Whether it is about dates."""
        return isinstance(self.low, str)

    def above(self, number: int | str) -> bool:
        """Whether a number is too small."""
        return isinstance(self.low, int) and isinstance(number, int) and number < self.low

    def holds(self, value: object) -> bool:
        """Whether a value lies between the two."""
        if isinstance(value, int) and isinstance(self.low, int) and isinstance(self.high, int):
            return not isinstance(value, bool) and self.low <= value <= self.high
        if isinstance(value, str) and isinstance(self.low, str) and isinstance(self.high, str):
            # Dates that are written alike are in the order of their texts.
            return parsed(value) is not None and self.low <= value <= self.high
        return False


class Known(Form):
    """There is a value."""

    op: Literal["known"]


Test = Annotated[
    Is | IsNot | IsAnyOf | Contains | Begins | Between | Comparison | Known,
    Field(discriminator="op"),
]
