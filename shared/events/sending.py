"""Events of what may be sent when: the chain's policy, and the ledger of each customer."""

from typing import Annotated, ClassVar

from pydantic import Field

from shared.events.contract import EventData, Moment, Part
from shared.events.customer import AnyChannel

LocalTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Weekday = Annotated[int, Field(ge=1, le=7)]


class QuietHours(Part):
    """A stretch of the recipient's day in which nothing is sent; it may pass midnight."""

    begin: LocalTime = Field(description="HH:MM on the recipient's clock, included")
    end: LocalTime = Field(description="HH:MM, not included; before `begin`: of the next day")
    channel: AnyChannel | None = Field(default=None, description="absent: every channel")
    days: tuple[Weekday, ...] = Field(
        default=(), description="ISO weekdays on which it begins; empty: every day"
    )


class Cap(Part):
    """How many messages a customer may get within a sliding window."""

    most: int = Field(ge=1)
    within: str = Field(description="ISO 8601 duration")
    channel: AnyChannel | None = Field(default=None, description="absent: on all channels together")
    topic: str | None = Field(default=None, description="absent: about all topics together")


class SendingPolicyDefined(EventData):
    """What the chain's messages keep to, whatever the campaign."""

    type: ClassVar[str] = "sending.policy_defined.v1"
    quiet: tuple[QuietHours, ...] = ()
    caps: tuple[Cap, ...] = ()
    service_waits: bool = Field(
        default=False, description="service messages keep to quiet hours as well"
    )


class Sender(Part):
    """In whose name messages go out."""

    branch: str | None = Field(default=None, description="absent: of the chain")
    channel: AnyChannel
    sender: str = Field(description="From of a mail, number or name of an SMS")


class SendersDefined(EventData):
    """In whose name the chain and its branches write; whoever is not here has the provider's."""

    type: ClassVar[str] = "sending.senders_defined.v1"
    senders: tuple[Sender, ...] = ()


class SlotTaken(EventData):
    """A hand-over begins that counts against the customer's caps."""

    type: ClassVar[str] = "sending.slot_taken.v1"
    message: str
    campaign: str
    channel: AnyChannel
    topic: str
    at: Moment


class SlotReturned(EventData):
    """It certainly did not reach the customer, and counts no longer."""

    type: ClassVar[str] = "sending.slot_returned.v1"
    message: str
    channel: AnyChannel


EVENTS: tuple[type[EventData], ...] = (
    SendingPolicyDefined,
    SendersDefined,
    SlotTaken,
    SlotReturned,
)
