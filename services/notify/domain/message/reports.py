"""What providers tell of a message: each word once for each channel, in whatever order they come.

A provider may be faster than our own note that it took the message over: what it tells says that
too, so *sent* is noted with it, and the log has it in its order. It says the same of what was
*uncertain*. Who was reached by a channel that had been given up needs no other one: the message is
as good as sent by it. What came to an end stays ended, whatever is told; but that it has arrived
counts for more than that it came back, whichever was told first.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec.structs import replace

from services.notify.domain.message.commands import RecordReport, Told
from services.notify.domain.message.state import ARRIVALS, OPEN, Message, Stage
from shared.events.contract import EventData
from shared.events.notification import (
    MessageClicked,
    MessageDelivered,
    MessageOpened,
    MessageSent,
)
from shared.events.reports import MessageBounced, MessageComplained

REPORTS = (MessageDelivered, MessageOpened, MessageClicked, MessageBounced, MessageComplained)
"""The events that are folded here."""
STRONGER: Mapping[Told, frozenset[Told]] = MappingProxyType(
    {"failed": frozenset({"failed", "bounced"})}
)
"""What says it already; else the same word does."""


def reported(command: RecordReport, state: Message) -> Sequence[EventData]:
    """The events that follow; none of what was told before, or never went by the channel."""
    channel, what = command.channel, command.what
    said = {word for word, by in state.told if by == channel}
    if channel not in state.ways or said & STRONGER.get(what, {what}):
        return ()
    told = _told(command, state)
    if not _is_sent_by_this(command, state):
        return (told,)
    sent = MessageSent(
        message=command.message,
        campaign=state.campaign,
        reference=command.reference,
        uncertain=True if state.stage is Stage.UNCERTAIN else None,
    )
    return (sent, told)


def _is_sent_by_this(command: RecordReport, state: Message) -> bool:
    """Whether it says first that the channel took the message over."""
    match state.stage:
        case Stage.SENDING | Stage.UNCERTAIN:
            return state.channel == command.channel
        case Stage.SCHEDULED:
            return command.what in ARRIVALS
        case _:
            return False


def _told(command: RecordReport, state: Message) -> EventData:
    message, campaign, channel = command.message, state.campaign, command.channel
    match command.what:
        case "delivered":
            return MessageDelivered(message=message, campaign=campaign, channel=channel)
        case "opened":
            return MessageOpened(message=message, campaign=campaign, channel=channel)
        case "complained":
            return MessageComplained(
                message=message, campaign=campaign, channel=channel, contact=state.ways[channel]
            )
        case "bounced" | "failed":
            return MessageBounced(
                message=message,
                campaign=campaign,
                channel=channel,
                permanent=command.what == "bounced",
                contact=state.ways[channel],
                code=command.code,
            )


def with_report(state: Message, data: EventData) -> Message:
    """The message after one of `REPORTS`."""
    what, channel = _word(data), getattr(data, "channel", None)
    state = replace(state, told=state.told | {(what, channel or state.channel)})
    if state.arrived:
        return state if state.stage in OPEN else replace(state, stage=Stage.DELIVERED)
    came_back = state.stage is Stage.SENT and channel == state.channel
    return replace(state, stage=Stage.BOUNCED) if came_back else state


def _word(data: EventData) -> Told:
    match data:
        case MessageDelivered():
            return "delivered"
        case MessageBounced(permanent=permanent):
            return "bounced" if permanent else "failed"
        case MessageComplained():
            return "complained"
        case _:
            # Who followed a link has read it.
            return "opened"
