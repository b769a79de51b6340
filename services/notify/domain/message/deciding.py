"""Messages: each occurrence of a campaign for a customer is one stream with one outcome.

    scheduled → suppressed | held out | sending → sent | failed | uncertain
    scheduled → scheduled, postponed to a moment that is known
                    sending → scheduled, when it is certain that nothing was taken over
             sending | sent → scheduled, when a channel did not reach and there is another one
          sent | uncertain → delivered | bounced, as the provider tells

The stream settles every race. A hand-over begins by appending `sending` with the name of the
attempt, so of two dispatchers one gets in; whoever did not append the attempt hands nothing over,
and only the result of the attempt that stands there now counts. What does not fit the state gives
no event and is no error: it comes from somebody who was overtaken.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import assert_never

from msgspec.structs import replace

from services.notify.domain.message.commands import (
    BeginSending,
    Defer,
    FallBack,
    GiveUp,
    HoldOut,
    MessageCommand,
    Postpone,
    RecordFailed,
    RecordReport,
    RecordSent,
    RecordUncertain,
    Schedule,
    Suppress,
)
from services.notify.domain.message.reports import REPORTS, reported, with_report
from services.notify.domain.message.state import Message, Stage
from shared.decider import Decider, NewEvent, not_found
from shared.events.contract import EventData
from shared.events.notification import (
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
)
from shared.events.reports import MessageGivenUp
from shared.events.single import MessageWritten

MAX_REFUSALS = 20
"""With waits that double up to five minutes this is more than an hour; then it has failed."""
UNREACHED: frozenset[Stage] = frozenset({Stage.SENT, Stage.BOUNCED})
"""Taken over, and as far as anybody knows not arrived."""


Step = (
    Postpone
    | FallBack
    | GiveUp
    | Suppress
    | HoldOut
    | BeginSending
    | RecordSent
    | RecordFailed
    | Defer
    | RecordUncertain
)
"""What gives one event, if it fits."""


def decide(command: MessageCommand, state: Message) -> Sequence[NewEvent]:
    """The event that follows from a command, if it still fits."""
    if isinstance(command, Schedule):
        return _schedule(command, state)
    if state.stage is None:
        kind = "message"
        raise not_found(kind, command.message)
    if isinstance(command, RecordReport):
        return [NewEvent(data, command.at) for data in reported(command, state)]
    return (NewEvent(_event(command, state), command.at),) if _fits(command, state) else ()


def _fits(command: Step, state: Message) -> bool:
    """Whether it comes from somebody who was not overtaken."""
    match command:
        case Suppress() | HoldOut():
            return state.stage is Stage.SCHEDULED
        case Postpone(until=until):
            return state.stage is Stage.SCHEDULED and state.until != until
        case FallBack(channel=channel, attempt=None) | GiveUp(channel=channel):
            left = state.stage in UNREACHED and not state.given_up
            return left and state.channel == channel
        case FallBack(attempt=attempt):
            return state.stage is Stage.SENDING and state.attempt == attempt
        case BeginSending(instead_of=None, channel=channel):
            # Who read of it before it fell back would take the channel that did not reach.
            return state.stage is Stage.SCHEDULED and channel not in state.tried
        case BeginSending(instead_of=instead_of):
            return state.stage is Stage.SENDING and state.attempt == instead_of
        case RecordSent() | RecordFailed() | Defer() | RecordUncertain():
            return state.stage is Stage.SENDING and state.attempt == command.attempt
        case _:
            assert_never(command)


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
    words = () if command.written is None else (NewEvent(command.written, command.at),)
    return (NewEvent(scheduled, command.at), *words)


def _event(command: Step, state: Message) -> EventData:
    message, campaign = command.message, state.campaign
    match command:
        case Suppress(reason=reason):
            return MessageSuppressed(message=message, campaign=campaign, reason=reason)
        case HoldOut(attribution_days=days):
            return MessageHeldOut(message=message, campaign=campaign, attribution_days=days)
        case Postpone(until=until, reason=why):
            return MessagePostponed(message=message, campaign=campaign, until=until, reason=why)
        case BeginSending():
            return MessageSending(
                message=message,
                campaign=campaign,
                contact=command.contact,
                attempt=command.attempt,
                channel=command.channel,
                variant=command.variant,
                attribution_days=command.attribution_days,
                further=command.further or None,
                next_at=command.next_at,
                segments=command.segments,
                cost=command.cost,
            )
        case _:
            return _result(command, state)


def _result(
    command: FallBack | GiveUp | RecordSent | RecordFailed | Defer | RecordUncertain,
    state: Message,
) -> EventData:
    """What came of an attempt."""
    message, campaign = command.message, state.campaign
    match command:
        case FallBack(channel=failed, reason=how, code=code):
            return MessageFellBack(
                message=message, campaign=campaign, channel=failed, reason=how, code=code
            )
        case GiveUp(channel=failed, reason=why):
            return MessageGivenUp(message=message, campaign=campaign, channel=failed, reason=why)
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
        case MessageSending():
            return _begun(state, data)
        case MessageDeferred(reason=reason):
            refusals = state.refusals + (reason == "refused")
            return replace(state, stage=Stage.SCHEDULED, attempt=None, refusals=refusals)
        case MessageFellBack(channel=channel):
            return replace(
                state,
                stage=Stage.SCHEDULED,
                attempt=None,
                refusals=0,
                until=None,
                tried=state.tried | {channel},
            )
        case MessageGivenUp() | MessageWritten():
            return replace(state, given_up=isinstance(data, MessageGivenUp))
        case MessageSent() if state.arrived:
            return replace(state, stage=Stage.DELIVERED, attempt=None)
    if isinstance(data, REPORTS):
        return with_report(state, data)
    stage = ENDS.get(type(data))
    if stage is None:
        text = f"a message has no event {data.type}"
        raise TypeError(text)
    return replace(state, stage=stage, attempt=None)


def _begun(state: Message, data: MessageSending) -> Message:
    channel = data.channel or state.channel
    ways = MappingProxyType({**state.ways, channel: data.contact})
    return replace(
        state,
        stage=Stage.SENDING,
        attempt=data.attempt,
        channel=channel,
        until=None,
        ways=ways,
        given_up=False,
    )


MESSAGE: Decider[MessageCommand, Message] = Decider(Message, decide, evolve)
