"""What callers send of a customer's record, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
)

from services.customer.domain.commands import NewIdentifier
from shared.access import Principal
from shared.clock import to_milliseconds
from shared.decider import invalid
from shared.events.customer import (
    Channel,
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    Evidence,
    IdentifierKind,
    IdentifierState,
    RecordFields,
)
from shared.identifiers import LONGEST, IdentifierRules

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
LongText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5_000)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$")]
Moment = Annotated[AwareDatetime, AfterValidator(to_milliseconds)]
"""In UTC, in whole milliseconds; calendars must reach it there."""
LARGEST_NUMBER = 2**53
"""What JSON numbers hold exactly in every language."""
Number = Annotated[int, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
CustomValue = Annotated[str, StringConstraints(max_length=2000)] | bool | Number | tuple[Text, ...]
MAX_CUSTOM_FIELDS = 200
MAX_IDENTIFIERS = 50


class Input(BaseModel):
    """What callers send: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class IdentifierInput(Input):
    """One way to find the customer."""

    kind: IdentifierKind
    value: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]


class NewIdentifierInput(IdentifierInput):
    """One more way to find the customer, and what is known of it."""

    state: IdentifierState | None = None
    preferred: bool = False
    shared: bool = Field(
        default=False, description="of several people, like a family's phone: it finds nobody alone"
    )
    label: Slug | None = None


class IdentifierChange(Input):
    """What else is known of a contact point; what is left out stays as it is."""

    state: IdentifierState | None = None
    preferred: bool | None = None
    label: Slug | None = None


class ConsentInput(Input):
    """A consent or its withdrawal, with its evidence."""

    topic: Slug
    channel: Channel
    given: bool = True
    contact: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="hash of the contact point that it is bound to; absent: any"
    )
    source: Slug
    wording: Text | None = None
    at: Moment | None = Field(default=None, description="when, if that was not now")
    confirmed: bool | None = Field(default=None, description="the person sent back a code")


class RecordInput(Input):
    """The fields of a record."""

    surname: Text | None = None
    name: Text | None = None
    patronymic: Text | None = None
    birth_date: date | None = None
    gender: Literal["female", "male"] | None = None
    address: Annotated[Text, StringConstraints(max_length=500)] | None = None
    city: Text | None = None
    region: Text | None = None
    workplace: Text | None = None
    home_branch: Text | None = None
    language: Language | None = None
    time_zone: Text | None = None
    acquisition: Slug | None = None
    customer_type: Slug | None = None
    preferred_channel: Channel | None = None
    internal: bool | None = None


class CustomerInput(RecordInput):
    """A customer to be registered."""

    identifiers: tuple[NewIdentifierInput, ...] = Field(default=(), max_length=MAX_IDENTIFIERS)
    custom: dict[Slug, CustomValue] = Field(default={}, max_length=MAX_CUSTOM_FIELDS)
    consents: tuple[ConsentInput, ...] = Field(default=(), max_length=50)
    tags: tuple[Slug, ...] = Field(default=(), max_length=100)
    categories: tuple[Slug, ...] = Field(default=(), max_length=100)
    status: Slug | None = None
    responsible: Slug | None = None
    note: LongText | None = None

    @field_validator("consents")
    @classmethod
    def _only_given(cls, consents: tuple[ConsentInput, ...]) -> tuple[ConsentInput, ...]:
        if not all(consent.given for consent in consents):
            message = "a new customer has nothing to withdraw; leave the consent out"
            raise ValueError(message)
        return consents


class CustomerItem(CustomerInput):
    """One customer of a batch; `request_id` makes sending it twice harmless."""

    request_id: Text


class CustomerPatch(RecordInput):
    """What is to be different: a value is written down, null takes it away, the rest stays."""

    custom: dict[Slug, CustomValue | None] = Field(default={}, max_length=MAX_CUSTOM_FIELDS)

    def cleared(self) -> tuple[str, ...]:
        """The names of the fields that are to be empty, custom ones as `custom.<name>`."""
        given = self.model_fields_set - {"custom"}
        plain = [name for name in sorted(given) if getattr(self, name) is None]
        return (*plain, *(f"custom.{name}" for name, each in self.custom.items() if each is None))


@dataclass(frozen=True, slots=True)
class IdentifierPath:
    """An identifier in a path: its kind and hash, as `contacts` show them."""

    kind: IdentifierKind
    value_hash: str


def fields_of(body: RecordInput, custom: dict[str, CustomValue]) -> RecordFields:
    """The record's fields as events write them."""
    plain = {
        name: value
        for name in RecordInput.model_fields
        if (value := getattr(body, name)) is not None
    }
    if body.birth_date is not None:
        plain["birth_date"] = body.birth_date.isoformat()
    return RecordFields.model_validate({**plain, "custom": custom or None})


def person_of(fields: RecordFields) -> CustomerRegistered:
    """The event of a new customer, without identifiers."""
    return CustomerRegistered.model_validate(
        {name: getattr(fields, name) for name in RecordFields.model_fields}
    )


def identifiers_of(
    rules: IdentifierRules, given: Sequence[NewIdentifierInput], path: str
) -> tuple[NewIdentifier, ...]:
    """The identifiers in their normal form. Raises `Refused` that names the field."""
    found = tuple(
        identifier_of(rules, each, f"{path}.{index}.value") for index, each in enumerate(given)
    )
    if len({each.known.claim_id for each in found}) != len(found):
        raise invalid(path, "the same identifier stands here twice")
    return found


def identifier_of(rules: IdentifierRules, given: NewIdentifierInput, path: str) -> NewIdentifier:
    """An identifier in its normal form. Raises `Refused` that names the field."""
    return NewIdentifier(
        known=rules.known(given.kind, given.value, path),
        state=given.state,
        preferred=given.preferred,
        shared=given.shared,
        label=given.label,
    )


def consent_of(
    body: ConsentInput, calling: Principal, now: AwareDatetime
) -> ConsentGiven | ConsentWithdrawn:
    """A consent or its withdrawal as it is recorded. Raises `Refused` for one of the future."""
    if body.at is not None and body.at > now:
        raise invalid("at", "a moment that has been")
    evidence = Evidence(
        source=body.source,
        wording=body.wording,
        by=calling.id,
        at=body.at or now,
        confirmed=body.confirmed,
    )
    kind = ConsentGiven if body.given else ConsentWithdrawn
    return kind(topic=body.topic, channel=body.channel, contact=body.contact, evidence=evidence)
