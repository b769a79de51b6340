"""Events of messages: once, or not at all, and always with a reason."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, MinorUnits, Moment, open_list
from shared.events.customer import AnyChannel


class MessageScheduled(EventData):
    """An occurrence of a campaign for a customer: exactly one outcome will follow."""

    type: ClassVar[str] = "message.scheduled.v1"
    message: str
    campaign: str
    occurrence: str = Field(description="a membership version, or a broadcast's run")
    channel: AnyChannel
    cause: str | None = Field(default=None, description="id of the causing event")
    occurred: Moment | None = Field(
        default=None, description="when its occasion was; absent: when it was scheduled"
    )


SuppressionReason = Literal[
    "no_customer",
    "no_address",
    "bad_address",
    "address_suppressed",
    "duplicate_address",
    "no_consent",
    "withdrawn",
    "internal",
    "campaign_stopped",
    "campaign_ended",
    "stale",
    "expired",
    "cap",
    "condition",
    "budget",
    "template_error",
    "merged",
    "already_told",
    "erased",
    "blacklisted",
]


class MessageSuppressed(EventData):
    """It was not sent, and never will be, for this reason."""

    type: ClassVar[str] = "message.suppressed.v1"
    message: str
    campaign: str
    reason: Annotated[SuppressionReason, open_list("why not")]


class MessageHeldOut(EventData):
    """It would have been sent, but the customer belongs to the holdout group."""

    type: ClassVar[str] = "message.held_out.v1"
    message: str
    campaign: str
    attribution_days: int | None = Field(default=None, description="as in `message.sending`")


class MessageSending(EventData):
    """It is about to be handed to the channel."""

    type: ClassVar[str] = "message.sending.v1"
    message: str
    campaign: str
    contact: str = Field(description="hash of the contact point")
    attempt: str = Field(description="names the hand-over: only its own result counts")
    channel: AnyChannel | None = Field(
        default=None, description="by which it goes; absent: the campaign's first"
    )
    variant: str | None = Field(default=None, description="which of the campaign's, if it has any")
    attribution_days: int | None = Field(
        default=None, description="a receipt so many days after it is put down to it; absent: 7"
    )
    further: bool | None = Field(
        default=None, description="true: another channel is left, should this one not reach"
    )
    next_at: Moment | None = Field(
        default=None, description="when that one is tried, unless it has arrived by then"
    )
    segments: int | None = Field(
        default=None, description="messages that an SMS is for the network"
    )
    cost: MinorUnits | None = Field(
        default=None, description="of the hand-over, should it be taken; absent: nobody counts it"
    )


PostponementReason = Literal["quiet_hours", "cap", "pace"]


class MessagePostponed(EventData):
    """It may not go out yet, and is looked at again at a moment that is known."""

    type: ClassVar[str] = "message.postponed.v1"
    message: str
    campaign: str
    until: Moment
    reason: Annotated[PostponementReason, open_list("why not now")]


FallbackReason = Literal["rejected", "bounced", "undelivered"]


class MessageFellBack(EventData):
    """A channel did not reach the customer: the next one of the campaign is tried."""

    type: ClassVar[str] = "message.fell_back.v1"
    message: str
    campaign: str
    channel: AnyChannel = Field(description="the one that did not reach")
    reason: Annotated[FallbackReason, open_list("how it failed")]
    code: str | None = Field(default=None, description="what the channel answered")


class MessageDeferred(EventData):
    """It was not taken over this time, for certain; it will be tried again."""

    type: ClassVar[str] = "message.deferred.v1"
    message: str
    campaign: str
    attempt: str
    reason: Literal["refused", "away", "late"] = Field(
        description=(
            "refused: the channel cannot take it now; away: the channel could not be reached; "
            "late: the time for the hand-over was over before it began"
        )
    )
    code: str | None = Field(default=None, description="what the channel answered")


class MessageSent(EventData):
    """The channel took it over."""

    type: ClassVar[str] = "message.sent.v1"
    message: str
    campaign: str
    reference: str | None = Field(default=None, description="the provider's id of it")
    uncertain: bool | None = Field(
        default=None, description="true: nobody could tell at first; by now the provider has told"
    )


class MessageDelivered(EventData):
    """It has arrived, as the provider says."""

    type: ClassVar[str] = "message.delivered.v1"
    message: str
    campaign: str
    channel: AnyChannel | None = Field(default=None, description="by which it arrived")


class MessageOpened(EventData):
    """The customer opened it; each time anew."""

    type: ClassVar[str] = "message.opened.v1"
    message: str
    campaign: str
    channel: AnyChannel | None = Field(
        default=None, description="by which it was read, where its provider tells"
    )


class MessageClicked(EventData):
    """The customer followed a link in it; each time anew."""

    type: ClassVar[str] = "message.clicked.v1"
    message: str
    campaign: str
    link: str | None = Field(default=None, description="where it leads, as the definition has it")


class MessageFailed(EventData):
    """The channel refused it for good."""

    type: ClassVar[str] = "message.failed.v1"
    message: str
    campaign: str
    code: str


class MessageUncertain(EventData):
    """Nobody can tell whether it went out; a person decides."""

    type: ClassVar[str] = "message.uncertain.v1"
    message: str
    campaign: str


EVENTS: tuple[type[EventData], ...] = (
    MessageScheduled,
    MessageSuppressed,
    MessageHeldOut,
    MessageSending,
    MessagePostponed,
    MessageFellBack,
    MessageDeferred,
    MessageSent,
    MessageDelivered,
    MessageOpened,
    MessageClicked,
    MessageFailed,
    MessageUncertain,
)
