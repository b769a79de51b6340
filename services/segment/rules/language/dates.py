"""Clauses about calendar days: dates of the customer, their anniversaries, and age.

Days are those of the chain's zone, or of the home branch's. What a span counts is days and not
hours, so it is as long over a change of the clocks as at any other time.
"""

import re
from collections.abc import Iterator
from datetime import date
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from services.segment.rules.days import parsed
from services.segment.rules.instants import UNITS, span
from services.segment.rules.language.fields import DateName
from services.segment.rules.language.forms import Comparison, Form, Leaf, Span, wrong
from services.segment.rules.language.kinds import RECEIPTS
from services.segment.rules.language.record import field_read

LONGEST_YEARLY = 366
_LEAP_YEAR = 2000
_DAY_OF_YEAR = re.compile(r"[0-9]{2}-[0-9]{2}")


def _check_days(text: str) -> str:
    if span(text) % UNITS["day"]:
        sentence = "counts calendar days: say it in days or weeks, such as P7D or P2W"
        raise PydanticCustomError("rule", "{sentence}", {"sentence": sentence})
    return text


DaySpan = Annotated[Span, AfterValidator(_check_days)]
Day = Annotated[str, StringConstraints(min_length=5, max_length=10)]


class Next(Form):
    """From today on, so many days: `P1D` is today alone, `P7D` today and the six days after it."""

    op: Literal["next"]
    within: DaySpan

    @cached_property
    def days(self) -> int:
        """How many."""
        return span(self.within) // UNITS["day"]


class Last(Form):
    """Up to today, so many days: `P1D` is today alone, `P7D` today and the six days before it."""

    op: Literal["last"]
    within: DaySpan

    @cached_property
    def days(self) -> int:
        """How many."""
        return span(self.within) // UNITS["day"]


class Today(Form):
    """It is that day."""

    op: Literal["today"]


class Passed(Form):
    """The day is over; of an anniversary, that of this year."""

    op: Literal["passed"]


class On(Form):
    """It is this date; of an anniversary, this day of the year, such as `12-24`."""

    op: Literal["on"]
    day: Day


class From(Form):
    """It is one of the days between two, both included.

    Of an anniversary they are days of the year, and may go round its end: `12-20` to `01-10`.
    """

    op: Literal["between"]
    low: Day
    high: Day


DateTest = Annotated[Next | Last | Today | Passed | On | From, Field(discriminator="op")]
Zone = Literal["chain", "branch"]
AnyZone = Annotated[
    Zone | None,
    Field(description="whose days: the chain's, or the home branch's; the chain's when left out"),
]


class Date(Leaf):
    """A date of the customer, or the anniversary of one, as calendar days go.

    Anniversaries are in the years after that of the date itself. That of 29 February is on 1 March
    in common years.
    """

    kind: Literal["date"]
    field: DateName
    test: DateTest
    yearly: bool | None = Field(default=None, description="the anniversary; absent: the date")
    zone: AnyZone = None

    @model_validator(mode="after")
    def _days_are_written_as_they_are_meant(self) -> Self:
        match self.test:
            case On(day=day):
                self._check("test.day", day)
            case From(low=low, high=high):
                self._check("test.low", low)
                self._check("test.high", high)
                if high < low and not self.yearly:
                    raise wrong("test.high", "is not before `low`")
            case Next(days=days) | Last(days=days) if self.yearly and days > LONGEST_YEARLY:
                raise wrong("test.within", "of an anniversary is a year at most, P366D")
        return self

    def _check(self, place: str, day: str) -> None:
        if self.yearly:
            if _DAY_OF_YEAR.fullmatch(day) is None or parsed(f"{_LEAP_YEAR}-{day}") is None:
                raise wrong(place, "of an anniversary is a day of the year, such as 12-24")
        elif parsed(day) is None:
            raise wrong(place, "is a date such as 2017-12-31; a day of the year needs `yearly`")

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """The two days that it lies between; of an anniversary, days of a leap year."""
        low, high = ("", "")
        match self.test:
            case On(day=day):
                low = high = day
            case From(low=first, high=last):
                low, high = first, last
        prefix = f"{_LEAP_YEAR}-" if self.yearly else ""
        return date.fromisoformat(prefix + low).toordinal(), date.fromisoformat(
            prefix + high
        ).toordinal()

    def reads(self) -> Iterator[str]:
        """The date, and the home branch where its days count."""
        yield RECEIPTS if self.field.endswith("_receipt") else field_read(self.field)
        if self.zone == "branch":
            yield field_read("home_branch")


class AgeBetween(Form):
    """Between two numbers of whole years, both included."""

    op: Literal["between"]
    low: int = Field(ge=0, le=200)
    high: int = Field(ge=0, le=200)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.high < self.low:
            raise wrong("high", "is not below `low`")
        return self


AgeTest = Annotated[Comparison | AgeBetween, Field(discriminator="op")]


class Age(Leaf):
    """How many whole years old the customer is; false where the date of birth is unknown.

    It changes as the birthday begins, where that is 29 February on 1 March of common years.
    """

    kind: Literal["age"]
    test: AgeTest
    zone: AnyZone = None

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """The least and the most years."""
        if isinstance(self.test, AgeBetween):
            return self.test.low, self.test.high
        return self.test.bounds

    def reads(self) -> Iterator[str]:
        """The date of birth, and the home branch where its days count."""
        yield field_read("birth_date")
        if self.zone == "branch":
            yield field_read("home_branch")
