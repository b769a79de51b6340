"""Events of customers: who they are, how they are found, what they agreed to."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, Part, Pii, PiiValue, open_list

IdentifierKind = Literal["phone", "email", "card", "external"]
Channel = Literal["email", "sms", "push", "messenger", "webhook"]
AnyChannel = Annotated[Channel, open_list("the way to reach somebody")]


class Identifier(Part):
    """One way to find a customer.

    `hash` is the keyed HMAC-SHA-256 (hex) of kind and normalised value, the same for every service
    of the chain; `epoch` grows with each claim and each release of the value, and the highest
    counts.
    """

    kind: IdentifierKind
    hash: str
    epoch: int = Field(ge=1)
    value: Pii | None = None


class CustomerRegistered(EventData):
    """A customer became known."""

    type: ClassVar[str] = "customer.registered.v1"
    identifiers: tuple[Identifier, ...] = ()
    surname: Pii | None = None
    name: Pii | None = None
    patronymic: Pii | None = None
    birth_date: Pii | None = Field(default=None, description="ISO 8601 date, once opened")
    gender: Literal["female", "male"] | None = None
    home_branch: str | None = None
    language: str | None = Field(default=None, description="BCP 47")
    time_zone: str | None = Field(default=None, description="IANA name")
    acquisition: str | None = Field(default=None, description="source of acquisition")
    internal: bool | None = Field(
        default=None, description="staff or test: kept out of figures and mailings"
    )
    custom: dict[str, PiiValue] | None = None


class IdentifierAdded(EventData):
    """A customer can be found by one more value."""

    type: ClassVar[str] = "customer.identifier_added.v1"
    identifier: Identifier


class IdentifierRemoved(EventData):
    """A value finds this customer no longer."""

    type: ClassVar[str] = "customer.identifier_removed.v1"
    kind: IdentifierKind
    hash: str
    epoch: int = Field(ge=1)


class Evidence(Part):
    """Where a consent or its withdrawal comes from."""

    source: str = Field(description="where it was given, e.g. `till`, `web`, `import`")
    wording: str | None = Field(default=None, description="version of the text agreed to")
    by: str | None = Field(default=None, description="id of the principal that recorded it")


class ConsentGiven(EventData):
    """The customer agreed to hear about a topic by a channel."""

    type: ClassVar[str] = "customer.consent_given.v1"
    topic: str
    channel: AnyChannel
    contact: str | None = Field(
        default=None, description="hash of the contact point it is bound to"
    )
    evidence: Evidence


class ConsentWithdrawn(EventData):
    """The customer no longer agrees."""

    type: ClassVar[str] = "customer.consent_withdrawn.v1"
    topic: str
    channel: AnyChannel
    evidence: Evidence


EVENTS: tuple[type[EventData], ...] = (
    CustomerRegistered,
    IdentifierAdded,
    IdentifierRemoved,
    ConsentGiven,
    ConsentWithdrawn,
)
