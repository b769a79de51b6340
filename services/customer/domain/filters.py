"""The language in which the list is asked: conditions that must all hold, a column to sort by.

A condition is about one thing, and may name several values of which one has to be there. Dates are
days in UTC. A filter that was stored in a view or a job is read by the same models as one that just
came in, so a field is added here as optional, or not at all.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.events.customer import Channel, IdentifierKind

MOST_CONDITIONS = 20
MOST_VALUES = 100
LARGEST = 2**53

Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Whole = Annotated[int, Field(ge=-LARGEST, le=LARGEST, strict=True)]
MonthDay = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
CustomOne = Annotated[bool, Field(strict=True)] | Whole | Word
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Column = Annotated[str, StringConstraints(pattern=r"^(custom\.)?[a-z0-9][a-z0-9_-]{0,63}$")]


class Condition(BaseModel):
    """Unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OneOf(Condition):
    """One of the values is there; `negated`: none of them is.

    `branch` is the home branch or one with a receipt.
    """

    kind: Literal[
        "tag",
        "category",
        "segment",
        "branch",
        "home_branch",
        "status",
        "responsible",
        "city",
        "region",
        "gender",
        "language",
        "acquisition",
        "customer_type",
    ]
    any_of: tuple[Word, ...] = Field(min_length=1, max_length=MOST_VALUES)
    negated: bool = False


class Numbers(Condition):
    """A number lies between two, both included. Money is in minor units."""

    kind: Literal["number"]
    column: Literal["spent", "visits", "average", "granted_discount"]
    at_least: Whole | None = None
    at_most: Whole | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "Numbers":
        _require_range(self.at_least, self.at_most)
        return self


class Dates(Condition):
    """A moment or date lies between two days, both included."""

    kind: Literal["date"]
    column: Literal["first_visit", "last_visit", "registered_at", "birth_date"]
    since: date | None = None
    until: date | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "Dates":
        _require_range(self.since, self.until)
        return self


class Birthday(Condition):
    """The birthday lies between two days of a year, both included."""

    kind: Literal["birthday"]
    since: MonthDay
    until: MonthDay

    @model_validator(mode="after")
    def _bounded(self) -> "Birthday":
        _require_range(self.since, self.until)
        return self


class HasContact(Condition):
    """There is a contact of the kind."""

    kind: Literal["has"]
    contact: IdentifierKind
    negated: bool = False


class Consented(Condition):
    """The consent is given."""

    kind: Literal["consent"]
    topic: Word
    channel: Channel
    negated: bool = False


class Flag(Condition):
    """Something is so, or is not."""

    kind: Literal["internal", "blacklisted"]
    value: bool


class CustomOneOf(Condition):
    """A custom field has one of the values, or holds one of them; `negated`: it does not."""

    kind: Literal["custom"]
    field: FieldName
    any_of: tuple[CustomOne, ...] = Field(min_length=1, max_length=MOST_VALUES)
    negated: bool = False


class CustomNumbers(Condition):
    """A custom number or amount lies between two, both included."""

    kind: Literal["custom_number"]
    field: FieldName
    at_least: Whole | None = None
    at_most: Whole | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "CustomNumbers":
        _require_range(self.at_least, self.at_most)
        return self


class CustomDates(Condition):
    """A custom date lies between two days, both included."""

    kind: Literal["custom_date"]
    field: FieldName
    since: date | None = None
    until: date | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "CustomDates":
        _require_range(self.since, self.until)
        return self


def _require_range(low: object, high: object) -> None:
    if low is None and high is None:
        message = "a range has one end at least"
        raise ValueError(message)
    if low is not None and high is not None and low > high:  # type: ignore[operator] # both of one type
        message = "a range ends where it begins, or later"
        raise ValueError(message)


AnyCondition = Annotated[
    OneOf
    | Numbers
    | Dates
    | Birthday
    | HasContact
    | Consented
    | Flag
    | CustomOneOf
    | CustomNumbers
    | CustomDates,
    Field(discriminator="kind"),
]


class Filter(Condition):
    """Whom the list shows: all conditions hold."""

    where: tuple[AnyCondition, ...] = Field(default=(), max_length=MOST_CONDITIONS)
    archived: bool = Field(default=False, description="those out of sight, and only those")


class Sorting(Condition):
    """The order of the list; those without a value come first, or last when descending."""

    column: Column = "name"
    descending: bool = False
