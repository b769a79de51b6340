"""Clauses about what is known of the customer."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from services.segment.rules.days import parsed
from services.segment.rules.language.criteria import Between, Is, IsAnyOf, IsNot, Known, Test
from services.segment.rules.language.fields import CHOICES, FIELDS, FieldName, Holds
from services.segment.rules.language.forms import (
    Comparison,
    Form,
    Leaf,
    Name,
    Value,
    require_count,
    wrong,
)
from shared.events.customer import Channel, IdentifierKind

CONTACTS = "contacts"
"""What a contact point that comes or goes touches."""


def field_read(name: str) -> str:
    """What a word about a field touches."""
    return f"field {name}"


def consent_read(topic: str, channel: str | None) -> str:
    """What a word about a consent touches; without a channel, what any of the topic does."""
    return f"consent {topic}|{channel or ''}"


def identifier_read(kind: str) -> str:
    """What a word about an identifier touches."""
    return f"identifier {kind}"


_FITTING: Mapping[Holds, tuple[str, ...]] = {
    "text": ("is", "is_not", "any_of", "contains", "begins", "known"),
    "choice": ("is", "is_not", "any_of", "known"),
    "yes_no": ("is", "is_not"),
    "number": ("is", "is_not", "any_of", ">=", ">", "<=", "<", "==", "between"),
    "several": ("is", "is_not", "any_of", "contains", "begins", "known"),
    "date": ("is", "is_not", "any_of", "between", "known"),
}
_SHOWN: Mapping[Holds, str] = {
    "text": "a text",
    "choice": "one of a list",
    "yes_no": "yes or no, written true or false",
    "number": "a whole number",
    "several": "several texts",
    "date": "a date such as 2017-12-31",
}


class Attribute(Leaf):
    """What is known of the customer."""

    kind: Literal["attribute"]
    field: FieldName
    test: Test

    @model_validator(mode="after")
    def _the_test_fits_the_field(self) -> Self:
        holds = FIELDS.get(self.field)
        if holds is None:
            return self
        fitting = _FITTING[holds]
        if self.test.op not in fitting:
            raise wrong("test.op", f"{self.field} is {_SHOWN[holds]}: ask {', '.join(fitting)}")
        if isinstance(self.test, Between) and self.test.dates is not (holds == "date"):
            raise wrong("test.low", f"{self.field} is {_SHOWN[holds]}")
        place = "test.values" if isinstance(self.test, IsAnyOf) else "test.value"
        for value in self.values:
            if (sentence := _misfit(self.field, holds, value)) is not None:
                raise wrong(place, sentence)
        return self

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """The values that it names, to be met exactly."""
        match self.test:
            case Is() | IsNot():
                return (self.test.value,)
            case IsAnyOf():
                return self.test.values
            case _:
                return ()

    def reads(self) -> Iterator[str]:
        """The one field."""
        yield field_read(self.field)


def _misfit(field: str, holds: Holds, value: Value) -> str | None:
    match holds:
        case "yes_no":
            fits = isinstance(value, bool)
        case "number":
            fits = isinstance(value, int) and not isinstance(value, bool)
        case "date":
            fits = isinstance(value, str) and parsed(value) is not None
        case "choice":
            if value not in CHOICES[field]:
                return f"{field} is {' or '.join(repr(each) for each in CHOICES[field])}"
            fits = True
        case _:
            fits = isinstance(value, str)
    return None if fits else f"{field} is {_SHOWN[holds]}"


class Consent(Leaf):
    """The customer agrees to hear about the topic by the channel, or has said something else.

    A consent that is bound to a contact point counts only while that is there. By any channel:
    given where it is by one of them, withdrawn where it is by one and given by none.
    """

    kind: Literal["consent"]
    topic: Name
    channel: Channel | None = Field(default=None, description="any, when left out")
    state: Literal["given", "withdrawn", "unknown"] | None = Field(
        default=None, description="given, when left out"
    )

    def reads(self) -> Iterator[str]:
        """The topic by the channel, or by any; and contact points, which consents are bound to."""
        yield consent_read(self.topic, self.channel)
        yield CONTACTS


class Verified(Form):
    """The customer has proved that one of them is theirs."""

    op: Literal["verified"]


class Bad(Form):
    """One of them is known to reach nobody."""

    op: Literal["bad"]


ContactTest = Annotated[Known | Verified | Bad | Comparison, Field(discriminator="op")]


class Contact(Leaf):
    """What is known of the identifiers of one kind; a comparison is with how many there are.

    Their values are nobody's business here.
    """

    kind: Literal["identifier"]
    identifier: IdentifierKind
    test: ContactTest

    @model_validator(mode="after")
    def _a_number_is_not_below_zero(self) -> Self:
        if isinstance(self.test, Comparison):
            require_count(self.test, "test.value")
        return self

    def reads(self) -> Iterator[str]:
        """The identifiers of the kind."""
        yield identifier_read(self.identifier)
