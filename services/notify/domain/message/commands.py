"""What may be asked of a message, each with its time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.events.customer import Channel
from shared.events.notification import FallbackReason, PostponementReason, SuppressionReason
from shared.events.reports import GivingUp
from shared.events.single import MessageWritten

Told = Literal["delivered", "opened", "bounced", "failed", "complained"]
"""What a provider tells: bounced, the address is bad; failed, only this message did not arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnMessage:
    """A command on one message, with its time."""

    message: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(OnMessage):
    """Promise the occurrence an outcome; `cause` is the id of the event that caused it.

    `written` is what an employee wrote, where that is the occasion.
    """

    campaign: str
    occurrence: str
    channel: Channel
    cause: str | None = None
    occurred: datetime | None = None
    written: MessageWritten | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Postpone(OnMessage):
    """Look at it again at a moment, for a reason."""

    until: datetime
    reason: PostponementReason


@dataclass(frozen=True, slots=True, kw_only=True)
class FallBack(OnMessage):
    """Try the next channel: the one of this attempt did not reach the customer.

    Without an attempt it is about one that the provider took over and never delivered.
    """

    channel: Channel
    reason: FallbackReason
    attempt: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppress(OnMessage):
    """Do not send it, for a reason."""

    reason: SuppressionReason


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOut(OnMessage):
    """Do not send it, to have somebody to compare with; receipts count for so many days."""

    attribution_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSending(OnMessage):
    """Begin a hand-over to the contact with this hash.

    `instead_of` names the attempt that it takes the place of, where one was cut off. `further`:
    another channel is left, which is tried at `next_at` (if set) unless it has arrived by then.
    `segments` and `cost` (minor units) are those of the text, where somebody counts them.
    """

    contact: str
    attempt: str
    instead_of: str | None = None
    channel: Channel | None = None
    further: bool = False
    next_at: datetime | None = None
    variant: str | None = None
    attribution_days: int | None = None
    segments: int | None = None
    cost: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSent(OnMessage):
    """The channel took it over."""

    attempt: str
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFailed(OnMessage):
    """The channel refused it for good."""

    attempt: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Defer(OnMessage):
    """Nothing was taken over, for certain: try again, unless it was refused too often."""

    attempt: str
    reason: Literal["refused", "away", "late"]
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUncertain(OnMessage):
    """Nobody can tell what became of the attempt."""

    attempt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReport(OnMessage):
    """A provider has told what became of what it took over by a channel."""

    channel: Channel
    what: Told
    reference: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp(OnMessage):
    """It did not arrive by its channel, and there is no other one left."""

    channel: Channel
    reason: GivingUp


MessageCommand = (
    Schedule
    | Postpone
    | FallBack
    | Suppress
    | HoldOut
    | BeginSending
    | RecordSent
    | RecordFailed
    | Defer
    | RecordUncertain
    | RecordReport
    | GiveUp
)
