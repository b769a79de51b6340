"""Messages: each occurrence of a campaign for a customer is one stream with one outcome.

    scheduled → suppressed | held out | sending → sent | failed | uncertain
    scheduled → scheduled, postponed to a moment that is known
                    sending → scheduled, when it is certain that nothing was taken over
             sending | sent → scheduled, when a channel did not reach and there is another one

The stream settles every race. A hand-over begins by appending `sending` with the name of the
attempt, so of two dispatchers one gets in; whoever did not append the attempt hands nothing over,
and only the result of the attempt that stands there now counts. What does not fit the state gives
no event and is no error: it comes from somebody who was overtaken.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, assert_never

from shared.decider import Decider, NewEvent, not_found
from shared.events.contract import EventData
from shared.events.customer import Channel
from shared.events.notification import (
    FallbackReason,
    MessageDeferred,
    MessageFailed,
    MessageFellBack,
    MessageHeldOut,
    MessagePostponed,
    MessageScheduled,
    MessageSending,
    MessageSent,
    MessageSuppressed,
    MessageUncertain,
    PostponementReason,
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
    """A message as its stream has it.

    `attempt` is the hand-over that is under way, `channel` the one by which the last one went, and
    `until` the moment to which it is postponed.
    """

    stage: Stage | None = None
    campaign: str = ""
    attempt: str | None = None
    refusals: int = 0
    channel: str = ""
    until: datetime | None = None


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
    occurred: datetime | None = None


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
    """Do not send it, to have somebody to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSending(OnMessage):
    """Begin a hand-over to the contact with this hash.

    `instead_of` names the attempt that it takes the place of, where one was cut off.
    """

    contact: str
    attempt: str
    instead_of: str | None = None
    channel: Channel | None = None


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
    | Postpone
    | FallBack
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
        case Postpone(until=until):
            fits = state.stage is Stage.SCHEDULED and state.until != until
        case FallBack(channel=channel, attempt=None):
            fits = state.stage is Stage.SENT and state.channel == channel
        case FallBack(attempt=attempt):
            fits = state.stage is Stage.SENDING and state.attempt == attempt
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
        occurred=command.occurred,
    )
    return (NewEvent(scheduled, command.at),)


def _event(
    command: Postpone
    | FallBack
    | Suppress
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
        case Postpone(until=until, reason=why):
            return MessagePostponed(message=message, campaign=campaign, until=until, reason=why)
        case BeginSending(contact=contact, attempt=attempt, channel=channel):
            return MessageSending(
                message=message,
                campaign=campaign,
                contact=contact,
                attempt=attempt,
                channel=channel,
            )
        case _:
            return _result(command, state)


def _result(
    command: FallBack | RecordSent | RecordFailed | Defer | RecordUncertain, state: Message
) -> EventData:
    """What came of an attempt."""
    message, campaign = command.message, state.campaign
    match command:
        case FallBack(channel=failed, reason=how, code=code):
            return MessageFellBack(
                message=message, campaign=campaign, channel=failed, reason=how, code=code
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


ENDS: Mapping[type[EventData], Stage] = MappingProxyType(
    {
        MessageSuppressed: Stage.SUPPRESSED,
        MessageHeldOut: Stage.HELD_OUT,
        MessageSent: Stage.SENT,
        MessageFailed: Stage.FAILED,
        MessageUncertain: Stage.UNCERTAIN,
    }
)
"""The outcomes."""


def evolve(state: Message, data: EventData) -> Message:
    """The message after an event."""
    match data:
        case MessageScheduled():
            return Message(Stage.SCHEDULED, data.campaign, channel=data.channel)
        case MessagePostponed(until=until):
            return replace(state, until=until)
        case MessageSending(attempt=attempt, channel=by):
            channel = by or state.channel
            return replace(state, stage=Stage.SENDING, attempt=attempt, channel=channel, until=None)
        case MessageDeferred(reason=reason):
            refusals = state.refusals + (reason == "refused")
            return replace(state, stage=Stage.SCHEDULED, attempt=None, refusals=refusals)
        case MessageFellBack():
            return replace(state, stage=Stage.SCHEDULED, attempt=None, refusals=0, until=None)
    stage = ENDS.get(type(data))
    if stage is None:
        text = f"a message has no event {data.type}"
        raise TypeError(text)
    return replace(state, stage=stage, attempt=None)


MESSAGE: Decider[MessageCommand, Message] = Decider(Message, decide, evolve)
