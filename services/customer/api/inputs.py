"""What callers send, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from shared.access import Principal
from shared.events.customer import (
    Channel,
    ConsentGiven,
    CustomerRegistered,
    Evidence,
    IdentifierKind,
)

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
LARGEST_NUMBER = 2**53
"""What JSON numbers hold exactly in every language."""
Number = Annotated[int, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
CustomValue = Annotated[str, StringConstraints(max_length=2000)] | bool | Number | tuple[Text, ...]
MAX_CUSTOM_FIELDS = 200


class Input(BaseModel):
    """What callers send: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class IdentifierInput(Input):
    """One way to find the customer."""

    kind: IdentifierKind
    value: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ConsentInput(Input):
    """A consent or its withdrawal, with its evidence."""

    topic: Slug
    channel: Channel
    given: bool = True
    source: Slug
    wording: Text | None = None


class CustomerInput(Input):
    """A customer to be registered."""

    identifiers: tuple[IdentifierInput, ...] = Field(default=(), max_length=50)
    surname: Text | None = None
    name: Text | None = None
    patronymic: Text | None = None
    birth_date: date | None = None
    gender: Literal["female", "male"] | None = None
    home_branch: Text | None = None
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")] | None = (
        None
    )
    time_zone: Text | None = None
    acquisition: Slug | None = None
    internal: bool = False
    custom: dict[Slug, CustomValue] = Field(default={}, max_length=MAX_CUSTOM_FIELDS)
    consents: tuple[ConsentInput, ...] = Field(default=(), max_length=50)

    @field_validator("consents")
    @classmethod
    def _only_given(cls, consents: tuple[ConsentInput, ...]) -> tuple[ConsentInput, ...]:
        if not all(consent.given for consent in consents):
            message = "a new customer has nothing to withdraw; leave the consent out"
            raise ValueError(message)
        return consents


@dataclass(frozen=True, slots=True)
class IdentifierPath:
    """An identifier in a path: its kind and hash, as `contacts` show them."""

    kind: IdentifierKind
    value_hash: str


class CustomerItem(CustomerInput):
    """One customer of a batch; `request_id` makes sending it twice harmless."""

    request_id: Text


def person_of(body: CustomerInput) -> CustomerRegistered:
    """The record of a new customer, without identifiers."""
    return CustomerRegistered(
        surname=body.surname,
        name=body.name,
        patronymic=body.patronymic,
        birth_date=None if body.birth_date is None else body.birth_date.isoformat(),
        gender=body.gender,
        home_branch=body.home_branch,
        language=body.language,
        time_zone=body.time_zone,
        acquisition=body.acquisition,
        internal=body.internal or None,
        custom=dict(body.custom) or None,
    )


def consents_of(body: CustomerInput, calling: Principal) -> Sequence[ConsentGiven]:
    """The consents that a new customer comes with."""
    return [consent_of(each, calling) for each in body.consents]


def consent_of(body: ConsentInput, calling: Principal) -> ConsentGiven:
    """A consent as it is recorded."""
    return ConsentGiven(topic=body.topic, channel=body.channel, evidence=evidence_of(body, calling))


def evidence_of(body: ConsentInput, calling: Principal) -> Evidence:
    """Where a consent or its withdrawal comes from."""
    return Evidence(source=body.source, wording=body.wording, by=calling.id)
