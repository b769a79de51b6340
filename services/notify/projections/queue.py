"""`queue`: every message with its state; the open ones are what dispatchers work through.

It is a view of the log and may be behind it: whoever acts on it asks the stream again by appending.
"""

from datetime import UTC, datetime
from typing import Literal

import msgspec

from services.notify.domain import OPEN, Stage, bucket_of
from shared.envelope import Causation
from shared.events.notification import (
    MessageClicked,
    MessageDeferred,
    MessageDelivered,
    MessageFailed,
    MessageFellBack,
    MessageHeldOut,
    MessageOpened,
    MessagePostponed,
    MessageScheduled,
    MessageSending,
    MessageSent,
    MessageSuppressed,
    MessageUncertain,
)
from shared.events.reports import MessageBounced, MessageComplained, MessageGivenUp
from shared.projection import Document, Event, Projection

STREAM = "message-"
CLOSED = ""
"""What `due` is of a message that needs nothing any more: before every turn."""
WAITING = "w"
"""What `due` begins with while it waits for a moment: after every turn."""
_MILLISECOND_DIGITS = 15


class QueuedMessage(Document, kw_only=True):
    """One message.

    `turn` is `<milliseconds>|<id>`, unique, so that pages go on from it; `due` is the turn while
    the message is open, or, while it is postponed, `w<milliseconds>|<id>` of the moment `until` by
    the chain's clock. `channel` is the one of the last hand-over, at first the campaign's; `tried`
    are those that did not reach. `occurred` is when the occasion was. In system time are `recorded`
    and `sending_at`, at or after the moment at which it was scheduled and at which the present
    attempt began, and `sending_since`, that of the first attempt that may have been taken over;
    `scheduled_at` and `changed_at` are the chain's. `code` is the channel's last answer, `refusals`
    counts its temporary ones. `correlation` and `depth` are what its next events go on from.
    `contact` is the hash of the address that it last went to, `references` are the providers' ids
    of it, each as `<channel>|<id>`. `arrived`: a provider has said so. `further`: a channel is left
    for it, which is tried when it comes back, and at `next_at`; until then it waits for that.
    `segments` (of SMS) and `cost` (minor units) are those of all hand-overs that were taken or may
    have been, `asked_segments` and `asked_cost` those of the one under way; None: nobody counts.
    """

    campaign: str
    customer: str
    occurrence: str
    channel: str
    bucket: int
    turn: str
    due: str
    recorded: datetime
    scheduled_at: datetime
    changed_at: datetime
    stage: Stage
    correlation: str
    depth: int
    attempt: str | None = None
    sending_at: datetime | None = None
    sending_since: datetime | None = None
    refusals: int = 0
    reason: str | None = None
    code: str | None = None
    occurred: datetime | None = None
    until: datetime | None = None
    tried: list[str] = msgspec.field(default_factory=list)
    contact: str | None = None
    references: list[str] = msgspec.field(default_factory=list)
    arrived: bool = False
    further: bool = False
    next_at: datetime | None = None
    segments: int | None = None
    cost: int | None = None
    asked_segments: int | None = None
    asked_cost: int | None = None


class Scheduled(msgspec.Struct):
    """Of `message.scheduled`."""

    message: str
    campaign: str
    occurrence: str
    channel: str
    occurred: datetime | None = None


class Began(msgspec.Struct):
    """Of `message.sending`."""

    message: str
    attempt: str
    contact: str | None = None
    channel: str | None = None
    further: bool = False
    next_at: datetime | None = None
    segments: int | None = None
    cost: int | None = None


class Postponed(msgspec.Struct):
    """Of `message.postponed`."""

    message: str
    until: datetime
    reason: str


class FellBack(msgspec.Struct):
    """Of `message.fell_back`."""

    message: str
    channel: str
    reason: str
    code: str | None = None


class Deferred(msgspec.Struct):
    """Of `message.deferred`."""

    message: str
    reason: Literal["refused", "away", "late"]
    code: str | None = None


class Ended(msgspec.Struct):
    """Of an outcome."""

    message: str
    reason: str | None = None
    code: str | None = None
    reference: str | None = None


class Told(msgspec.Struct):
    """Of what a provider tells later, or the reader's own click."""

    message: str
    channel: str | None = None
    code: str | None = None


class GivenUp(msgspec.Struct):
    """Of `message.given_up`."""

    message: str


OUTCOMES: dict[str, Stage] = {
    MessageSuppressed.type: Stage.SUPPRESSED,
    MessageHeldOut.type: Stage.HELD_OUT,
    MessageSent.type: Stage.SENT,
    MessageFailed.type: Stage.FAILED,
    MessageUncertain.type: Stage.UNCERTAIN,
}
TOLD = (
    *(MessageDelivered.type, MessageOpened.type, MessageClicked.type),
    *(MessageBounced.type, MessageComplained.type),
)


def queued(
    message: str,
    scheduled: MessageScheduled | Scheduled,
    customer: str,
    *,
    at: datetime,
    recorded: datetime,
    why: Causation,
) -> QueuedMessage:
    """A message as it is first queued; `why` is the causation of its scheduling."""
    turn = turn_of(recorded, message)
    return QueuedMessage(
        id=message,
        campaign=scheduled.campaign,
        customer=customer,
        occurrence=scheduled.occurrence,
        channel=scheduled.channel,
        bucket=bucket_of(customer),
        turn=turn,
        due=turn,
        recorded=recorded,
        scheduled_at=at,
        changed_at=at,
        stage=Stage.SCHEDULED,
        correlation=why.correlation,
        depth=why.depth,
        occurred=scheduled.occurred,
    )


def turn_of(moment: datetime, message: str) -> str:
    """`<milliseconds>|<id>`: sorts by moment."""
    return f"{int(moment.timestamp() * 1000):0{_MILLISECOND_DIGITS}d}|{message}"


def reference_key(channel: str, reference: str) -> str:
    """How a provider's id of a message is kept: two providers may use the same one."""
    return f"{channel}|{reference}"


def _due(message: QueuedMessage) -> str:
    if message.stage is Stage.BOUNCED and message.further:
        return message.turn
    if message.stage is Stage.SENT and message.next_at is not None:
        return WAITING + turn_of(message.next_at, message.id)
    if message.stage not in OPEN:
        return CLOSED
    if message.until is None:
        return message.turn
    return WAITING + turn_of(message.until, message.id)


def _target(event: Event) -> str | None:
    stream = event.light.stream
    return stream.removeprefix(STREAM) if stream.startswith(STREAM) else None


def apply(message: QueuedMessage | None, event: Event) -> QueuedMessage:
    """The message after an event."""
    data, taken = event.data, datetime.fromtimestamp(event.timestamp / 1000, UTC)
    if message is None:
        if not isinstance(data, Scheduled):
            text = "the first event of a message is its scheduling"
            raise ValueError(text)
        light = event.light
        why = Causation(light.correlationid, depth=light.causedepth)
        return queued(
            data.message, data, light.subject or "", at=event.time, recorded=taken, why=why
        )
    match data:
        case Postponed(until=until, reason=reason):
            message.until, message.reason = until, reason
        case FellBack(channel=channel, reason=reason, code=code):
            message.tried, message.refusals = [*message.tried, channel], 0
            message.further, message.next_at = False, None
            _leave_sending(message, Stage.SCHEDULED, reason, code)
        case Began(attempt=attempt, channel=channel):
            message.stage, message.attempt, message.sending_at = Stage.SENDING, attempt, taken
            message.channel, message.until = channel or message.channel, None
            message.sending_since = message.sending_since or taken
            message.contact, message.further = data.contact, data.further
            message.next_at = data.next_at
            message.asked_segments, message.asked_cost = data.segments, data.cost
        case Deferred(reason=reason, code=code):
            message.refusals += reason == "refused"
            _leave_sending(message, Stage.SCHEDULED, reason, code)
        case Ended(reason=reason, code=code):
            _leave_sending(message, OUTCOMES[event.type], reason, code)
            _sent(message, data.reference)
        case Told():
            _told(message, data, came_back=event.type == MessageBounced.type)
        case GivenUp():
            message.further, message.next_at = False, None
    message.due = _due(message)
    message.changed_at = event.time
    return message


def _leave_sending(
    message: QueuedMessage, stage: Stage, reason: str | None, code: str | None
) -> None:
    if stage in (Stage.SENT, Stage.UNCERTAIN):
        message.segments = _sum(message.segments, message.asked_segments)
        message.cost = _sum(message.cost, message.asked_cost)
    message.asked_segments = message.asked_cost = None
    message.stage, message.reason, message.code = stage, reason, code
    message.attempt = message.sending_at = message.sending_since = message.until = None


def _sum(before: int | None, more: int | None) -> int | None:
    return before if more is None else (before or 0) + more


def _sent(message: QueuedMessage, reference: str | None) -> None:
    """What is known of one that was taken over."""
    if reference is not None:
        message.references = [*message.references, reference_key(message.channel, reference)]
    if message.stage is Stage.SENT and message.arrived:
        message.stage = Stage.DELIVERED


def _told(message: QueuedMessage, data: Told, *, came_back: bool) -> None:
    """The stage as the message itself has it (`domain/message/reports.py`)."""
    message.arrived = message.arrived or not came_back
    if message.arrived:
        if message.stage not in OPEN:
            message.stage = Stage.DELIVERED
    elif message.stage is Stage.SENT and data.channel == message.channel:
        message.stage, message.code = Stage.BOUNCED, data.code


QUEUE: Projection[QueuedMessage] = Projection(
    name="queue_v2",
    topics=("notification.events.v1",),
    reads={
        MessageScheduled.type: Scheduled,
        MessageSending.type: Began,
        MessagePostponed.type: Postponed,
        MessageFellBack.type: FellBack,
        MessageDeferred.type: Deferred,
        **dict.fromkeys(OUTCOMES, Ended),
        **dict.fromkeys(TOLD, Told),
        MessageGivenUp.type: GivenUp,
    },
    document=QueuedMessage,
    target=_target,
    apply=apply,
    gapless=True,
    indexes=(
        (("due", 1),),
        (("turn", 1),),
        (("campaign", 1), ("turn", 1)),
        (("campaign", 1), ("occurrence", 1), ("due", 1)),
        (("customer", 1), ("due", 1)),
        (("customer", 1), ("turn", 1)),
        (("reason", 1), ("turn", 1)),
        (("references", 1),),
    ),
)
