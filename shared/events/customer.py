"""Events of customers: who they are, how they are found, what they agreed to."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, Moment, Part, Pii, PiiValue, open_list

IdentifierKind = Literal["phone", "email", "card", "external", "messenger", "social", "push"]
IdentifierState = Literal["unverified", "verified", "bad"]
Channel = Literal["email", "sms", "push", "messenger", "webhook"]
AnyKind = Annotated[IdentifierKind, open_list("what kind of identifier it is")]
AnyChannel = Annotated[Channel, open_list("the way to reach somebody")]
AnyState = Annotated[IdentifierState, open_list("what is known of the contact point")]


class Identifier(Part):
    """One way to find a customer.

    `hash` is the keyed HMAC-SHA-256 (hex) of kind and normalised value, the same for every service
    of the chain; `epoch` grows with each claim and each release of the value, and the highest
    counts. A shared one (the phone of a family) belongs to nobody alone: it makes no claim, and
    finds no owner.
    """

    kind: AnyKind
    hash: str
    epoch: int = Field(ge=1)
    value: Pii | None = None
    state: AnyState | None = Field(default=None, description="absent: unverified")
    preferred: bool | None = Field(default=None, description="the first choice of its kind")
    shared: bool | None = None
    label: str | None = Field(default=None, description="`home`, `work`, …")


class RecordFields(Part):
    """What is written down of a customer, apart from identifiers."""

    surname: Pii | None = None
    name: Pii | None = None
    patronymic: Pii | None = None
    birth_date: Pii | None = Field(default=None, description="ISO 8601 date, once opened")
    gender: Literal["female", "male"] | None = None
    address: Pii | None = None
    city: str | None = None
    region: str | None = None
    workplace: Pii | None = None
    home_branch: str | None = None
    language: str | None = Field(default=None, description="BCP 47")
    time_zone: str | None = Field(default=None, description="IANA name")
    acquisition: str | None = Field(default=None, description="source of acquisition")
    customer_type: str | None = Field(default=None, description="of the directory of that name")
    preferred_channel: AnyChannel | None = None
    internal: bool | None = Field(
        default=None, description="staff or test: kept out of figures and mailings"
    )
    custom: dict[str, PiiValue] | None = None


class CustomerRegistered(RecordFields, EventData):
    """A customer became known."""

    type: ClassVar[str] = "customer.registered.v1"
    identifiers: tuple[Identifier, ...] = ()


class CustomerChanged(RecordFields, EventData):
    """Fields got other values; those that are absent stay as they were."""

    type: ClassVar[str] = "customer.changed.v1"
    cleared: tuple[str, ...] | None = Field(
        default=None, description="fields that have no value any more; of custom ones `custom.<n>`"
    )


class IdentifierAdded(EventData):
    """A customer can be found by one more value."""

    type: ClassVar[str] = "customer.identifier_added.v1"
    identifier: Identifier


class IdentifierChanged(EventData):
    """Something else is known of a contact point; what is absent stays as it was."""

    type: ClassVar[str] = "customer.identifier_changed.v1"
    kind: AnyKind
    hash: str
    state: AnyState | None = None
    preferred: bool | None = Field(
        default=None, description="true: the others of its kind are so no longer"
    )
    label: str | None = None


class IdentifierRemoved(EventData):
    """A value finds this customer no longer."""

    type: ClassVar[str] = "customer.identifier_removed.v1"
    kind: AnyKind
    hash: str
    epoch: int = Field(ge=1)


class Evidence(Part):
    """Where a consent or its withdrawal comes from."""

    source: str = Field(description="where it was given, e.g. `till`, `web`, `import`")
    wording: str | None = Field(default=None, description="version of the text agreed to")
    by: str | None = Field(default=None, description="id of the principal that recorded it")
    at: Moment | None = Field(default=None, description="when it was given or withdrawn")
    confirmed: bool | None = Field(default=None, description="the person sent back a code")


class ConsentGiven(EventData):
    """The customer agreed to hear about a topic by a channel."""

    type: ClassVar[str] = "customer.consent_given.v1"
    topic: str
    channel: AnyChannel
    contact: str | None = Field(
        default=None, description="hash of the contact point it is bound to; absent: any"
    )
    evidence: Evidence


class ConsentWithdrawn(EventData):
    """The customer no longer agrees."""

    type: ClassVar[str] = "customer.consent_withdrawn.v1"
    topic: str
    channel: AnyChannel
    contact: str | None = Field(
        default=None, description="hash of the contact point that it is about; absent: all"
    )
    evidence: Evidence


EVENTS: tuple[type[EventData], ...] = (
    CustomerRegistered,
    CustomerChanged,
    IdentifierAdded,
    IdentifierChanged,
    IdentifierRemoved,
    ConsentGiven,
    ConsentWithdrawn,
)
