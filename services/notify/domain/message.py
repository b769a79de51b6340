"""Messages: each occurrence of a campaign for a customer is one stream with one outcome.

    scheduled → suppressed | held out | sending → sent | failed | uncertain
                    sending → scheduled, when it is certain that nothing was taken over

The stream settles every race. A hand-over begins by appending `sending` with the name of the
attempt, so of two dispatchers one gets in; whoever did not append the attempt hands nothing over,
and only the result of the attempt that stands there now counts. What does not fit the state gives
no event and is no error: it comes from somebody who was overtaken.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal, assert_never

from shared.decider import Decider, NewEvent, not_found
from shared.events.contract import EventData
from shared.events.customer import Channel
from shared.events.notification import (
    MessageDeferred,
    MessageFailed,
    MessageHeldOut,
    MessageScheduled,
    MessageSending,
    MessageSent,
    MessageSuppressed,
    MessageUncertain,
    SuppressionReason,
)
from shared.ids import derived_id

BUCKETS = 64
MAX_REFUSALS = 20
"""With waits that double up to five minutes this is more than an hour; then it has failed."""


class Stage(StrEnum):
    """Where a message is in its life; the last five are its outcomes."""

    SCHEDULED = "scheduled"
    SENDING = "sending"
    SUPPRESSED = "suppressed"
    HELD_OUT = "held_out"
    SENT = "sent"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


OPEN: frozenset[Stage] = frozenset({Stage.SCHEDULED, Stage.SENDING})


def message_id(campaign: str, customer: str, occurrence: str) -> str:
    """The id of the one message that an occurrence gives a customer."""
    return derived_id("message", campaign, customer, occurrence)


def message_stream(message: str) -> str:
    """The stream of a message."""
    return f"message-{message}"


def bucket_of(customer: str) -> int:
    """The customer's bucket, the same in every process: dispatchers share them out."""
    digest = hashlib.blake2b(customer.encode(), digest_size=2).digest()
    return int.from_bytes(digest, "big") % BUCKETS


@dataclass(frozen=True, slots=True)
class Message:
    """A message as its stream has it; `attempt` is the hand-over that is under way."""

    stage: Stage | None = None
    campaign: str = ""
    attempt: str | None = None
    refusals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OnMessage:
    """A command on one message, with its time."""

    message: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(OnMessage):
    """Promise the occurrence an outcome; `cause` is the id of the event that caused it."""

    campaign: str
    occurrence: str
    channel: Channel
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppress(OnMessage):
    """Do not send it, for a reason."""

    reason: SuppressionReason


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOut(OnMessage):
    """Do not send it, to have somebody to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSending(OnMessage):
    """Begin a hand-over to the contact with this hash.

    `instead_of` names the attempt that it takes the place of, where one was cut off.
    """

    contact: str
    attempt: str
    instead_of: str | None = None


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


MessageCommand = (
    Schedule
    | Suppress
    | HoldOut
    | BeginSending
    | RecordSent
    | RecordFailed
    | Defer
    | RecordUncertain
)


def decide(command: MessageCommand, state: Message) -> Sequence[NewEvent]:
    """The event that follows from a command, if it still fits."""
    if isinstance(command, Schedule):
        return _schedule(command, state)
    if state.stage is None:
        kind = "message"
        raise not_found(kind, command.message)
    match command:
        case Suppress() | HoldOut():
            fits = state.stage is Stage.SCHEDULED
        case BeginSending(instead_of=instead_of):
            waiting = state.stage is Stage.SCHEDULED and instead_of is None
            fits = waiting or (state.stage is Stage.SENDING and state.attempt == instead_of)
        case RecordSent() | RecordFailed() | Defer() | RecordUncertain():
            fits = state.stage is Stage.SENDING and state.attempt == command.attempt
        case _:
            assert_never(command)
    return (NewEvent(_event(command, state), command.at),) if fits else ()


def _schedule(command: Schedule, state: Message) -> Sequence[NewEvent]:
    if state.stage is not None:
        return ()
    scheduled = MessageScheduled(
        message=command.message,
        campaign=command.campaign,
        occurrence=command.occurrence,
        channel=command.channel,
        cause=command.cause,
    )
    return (NewEvent(scheduled, command.at),)


def _event(
    command: Suppress
    | HoldOut
    | BeginSending
    | RecordSent
    | RecordFailed
    | Defer
    | RecordUncertain,
    state: Message,
) -> EventData:
    message, campaign = command.message, state.campaign
    match command:
        case Suppress(reason=reason):
            return MessageSuppressed(message=message, campaign=campaign, reason=reason)
        case HoldOut():
            return MessageHeldOut(message=message, campaign=campaign)
        case BeginSending(contact=contact, attempt=attempt):
            return MessageSending(
                message=message, campaign=campaign, contact=contact, attempt=attempt
            )
        case RecordSent(reference=reference):
            return MessageSent(message=message, campaign=campaign, reference=reference)
        case RecordFailed(code=code):
            return MessageFailed(message=message, campaign=campaign, code=code)
        case Defer(attempt=attempt, reason=reason, code=code):
            if reason == "refused" and state.refusals + 1 >= MAX_REFUSALS:
                return MessageFailed(message=message, campaign=campaign, code=code or "refused")
            return MessageDeferred(
                message=message, campaign=campaign, attempt=attempt, reason=reason, code=code
            )
        case RecordUncertain():
            return MessageUncertain(message=message, campaign=campaign)
        case _:
            assert_never(command)


def evolve(state: Message, data: EventData) -> Message:
    """The message after an event."""
    match data:
        case MessageScheduled(campaign=campaign):
            return Message(Stage.SCHEDULED, campaign)
        case MessageSending(attempt=attempt):
            return replace(state, stage=Stage.SENDING, attempt=attempt)
        case MessageDeferred(reason=reason):
            refusals = state.refusals + (reason == "refused")
            return replace(state, stage=Stage.SCHEDULED, attempt=None, refusals=refusals)
        case MessageSuppressed():
            return replace(state, stage=Stage.SUPPRESSED, attempt=None)
        case MessageHeldOut():
            return replace(state, stage=Stage.HELD_OUT, attempt=None)
        case MessageSent():
            return replace(state, stage=Stage.SENT, attempt=None)
        case MessageFailed():
            return replace(state, stage=Stage.FAILED, attempt=None)
        case MessageUncertain():
            return replace(state, stage=Stage.UNCERTAIN, attempt=None)
        case _:
            text = f"a message has no event {data.type}"
            raise TypeError(text)


MESSAGE: Decider[MessageCommand, Message] = Decider(Message, decide, evolve)
