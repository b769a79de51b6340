"""Clauses about what is known of the customer."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from services.segment.rules.language.forms import Form, Leaf, Name, Several, Value, wrong
from shared.events.customer import Channel

CUSTOM = "custom."
"""What the name of a custom field begins with in a rule."""


def field_read(name: str) -> str:
    """What a word about a field touches."""
    return f"field {name}"


def consent_read(topic: str, channel: str) -> str:
    """What a word about a consent touches."""
    return f"consent {topic}|{channel}"


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


class Known(Form):
    """There is a value."""

    op: Literal["known"]


Test = Annotated[Is | IsNot | IsAnyOf | Known, Field(discriminator="op")]


class Attribute(Leaf):
    """What is known of the customer."""

    kind: Literal["attribute"]
    field: str = Field(
        pattern=r"^(home_branch|language|gender|acquisition|custom\..{1,100})$",
        description="`custom.` and a name for a custom field",
    )
    test: Test

    @model_validator(mode="after")
    def _values_fit_the_field(self) -> Self:
        if self.field.startswith(CUSTOM) or isinstance(self.test, Known):
            return self
        several = isinstance(self.test, IsAnyOf)
        place = "test.values" if several else "test.value"
        for value in self.values:
            if not isinstance(value, str):
                raise wrong(place, f"{self.field} is a text")
            if self.field == "gender" and value not in {"female", "male"}:
                raise wrong(place, "gender is 'female' or 'male'")
        return self

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """The values that it names."""
        match self.test:
            case Is() | IsNot():
                return (self.test.value,)
            case IsAnyOf():
                return self.test.values
            case Known():
                return ()

    def reads(self) -> Iterator[str]:
        """The one field."""
        yield field_read(self.field)


class Consent(Leaf):
    """The customer agrees to hear about the topic by the channel."""

    kind: Literal["consent"]
    topic: Name
    channel: Channel

    def reads(self) -> Iterator[str]:
        """The one consent."""
        yield consent_read(self.topic, self.channel)
