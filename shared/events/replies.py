"""Events of what people write back."""

from typing import ClassVar

from pydantic import Field

from shared.events.contract import EventData, Moment, Pii
from shared.events.customer import AnyChannel, AnyKind


class ReplyReceived(EventData):
    """Somebody wrote to the chain; whose it is, is the event's subject, where that is known."""

    type: ClassVar[str] = "reply.received.v1"
    reply: str = Field(description="its id, the same however often the provider tells of it")
    channel: AnyChannel
    provider: str = Field(description="which one brought it: `email`, `sms`, `telegram`, …")
    kind: AnyKind = Field(description="of the contact point that it came from")
    contact: str = Field(description="hash of the contact point")
    at: Moment = Field(description="when it was written, else when it came")
    message: str | None = Field(default=None, description="the one that it answers")
    campaign: str | None = Field(default=None, description="of that message")
    address: Pii | None = Field(default=None, description="the contact point itself")
    text: Pii | None = None


EVENTS: tuple[type[EventData], ...] = (ReplyReceived,)
