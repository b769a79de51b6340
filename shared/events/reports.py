"""Events of what providers say later: what became of a message that they had taken over.

A provider says it twice, and in any order; each of these happens once for each channel by which a
message went.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, open_list
from shared.events.customer import AnyChannel


class MessageBounced(EventData):
    """It came back: it has not arrived by this channel."""

    type: ClassVar[str] = "message.bounced.v1"
    message: str
    campaign: str
    channel: AnyChannel
    permanent: bool = Field(description="the address is bad for good, not only for this message")
    contact: str | None = Field(default=None, description="hash of the contact point")
    code: str | None = Field(default=None, description="why, in the provider's words")


class MessageComplained(EventData):
    """Who got it calls it unwanted."""

    type: ClassVar[str] = "message.complained.v1"
    message: str
    campaign: str
    channel: AnyChannel
    contact: str | None = Field(default=None, description="hash of the contact point")


GivingUp = Literal["bounced", "undelivered"]


class MessageGivenUp(EventData):
    """It has not arrived by this channel, and by no other can the customer be reached any more."""

    type: ClassVar[str] = "message.given_up.v1"
    message: str
    campaign: str
    channel: AnyChannel
    reason: Annotated[GivingUp, open_list("how it failed")]


EVENTS: tuple[type[EventData], ...] = (MessageBounced, MessageComplained, MessageGivenUp)
