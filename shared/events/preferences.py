"""Events of what people decide by the links in messages: no more, yes, or rather this way.

They are the notification service's own, because they hold there from the moment at which they are
recorded; the customer service carries them into its log of consents.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, open_list
from shared.events.customer import AnyChannel

PreferenceSource = Literal["one-click", "message-link", "message-page", "reply"]
AnyPreferenceSource = Annotated[
    PreferenceSource,
    open_list(
        "how it was said: one-click by a mail program (RFC 8058), message-link by the button of "
        "the page behind a link, message-page on the page of preferences, reply by a word that was "
        "sent back"
    ),
]


class PreferenceWithdrawn(EventData):
    """The customer wants no more messages about a topic by a channel, at whatever address."""

    type: ClassVar[str] = "preference.withdrawn.v1"
    customer: str
    topic: str
    channel: AnyChannel
    source: AnyPreferenceSource
    contact: str | None = Field(
        default=None,
        description="hash of the address at which the message was read",
    )
    message: str | None = Field(default=None, description="the message that had the link")
    wording: str | None = Field(default=None, description="version of the texts that were shown")


class PreferenceGiven(EventData):
    """The customer agreed to messages about a topic by a channel, at one address."""

    type: ClassVar[str] = "preference.given.v1"
    customer: str
    topic: str
    channel: AnyChannel
    source: AnyPreferenceSource
    contact: str | None = Field(
        default=None, description="hash of the address that it is bound to; absent: any"
    )
    message: str | None = Field(default=None, description="the message that had the link")
    wording: str | None = Field(default=None, description="version of the texts that were shown")


class PreferredChannelChosen(EventData):
    """The customer likes to be written to by one of the channels before all others."""

    type: ClassVar[str] = "preference.channel_chosen.v1"
    customer: str
    channel: AnyChannel
    source: AnyPreferenceSource
    message: str | None = Field(default=None, description="the message that had the link")
    wording: str | None = Field(default=None, description="version of the texts that were shown")


EVENTS: tuple[type[EventData], ...] = (PreferenceWithdrawn, PreferenceGiven, PreferredChannelChosen)
