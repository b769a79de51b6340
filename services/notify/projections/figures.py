"""`campaign_figures`: what became of each message, as the figures of its campaign add it up.

One document per message, so that none is everybody's and none grows with a customer's messages.
Each message has one outcome at a time, `open` until it has one; what was told of it beside that is
counted apart, and for each channel by which it went. What a hand-over costs counts once it was
taken, or may have been. What people decide by a link in a message is told in a stream of theirs,
and may be read before the message.
"""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from types import MappingProxyType

import msgspec

from shared.events.notification import (
    MessageClicked,
    MessageDelivered,
    MessageFailed,
    MessageFellBack,
    MessageHeldOut,
    MessageOpened,
    MessageScheduled,
    MessageSending,
    MessageSent,
    MessageSuppressed,
    MessageUncertain,
)
from shared.events.preferences import PreferenceWithdrawn
from shared.events.reports import MessageBounced, MessageComplained
from shared.projection import Document, Event, Projection

STREAM = "message-"
OPEN = "open"


class Handed(msgspec.Struct, omit_defaults=True):
    """What became of a message by one channel.

    All are 0 or 1, but `opens` and `clicks`, and what it cost: `segments` of SMS, and `cost` in
    minor units.
    """

    channel: str
    sent: int = 0
    failed: int = 0
    uncertain: int = 0
    fell_back: int = 0
    delivered: int = 0
    bounced: int = 0
    complained: int = 0
    opened: int = 0
    opens: int = 0
    clicked: int = 0
    clicks: int = 0
    segments: int = 0
    cost: int = 0


class Followed(msgspec.Struct):
    """A link of the template, and how often it was followed."""

    link: str
    times: int


class MessageFigures(Document, kw_only=True):
    """A message.

    `outcome` is `open`, `sent`, `held_out`, `failed`, `uncertain` or `suppressed`, then with its
    `reason`; `day` is that of the outcome, on the chain's calendar (ISO 8601). `channel` is the one
    by which it is to go, or went last; `ways` are those that it was handed to, in their order. 0 or
    1 are `delivered`, `bounced`, `complained` and, stored also where they are 0 because people are
    counted by them, `reached` (it was sent), `opened`, `clicked` and `left`: its reader wants no
    more of this topic. `asked_segments` and `asked_cost` are those of the hand-over under way.
    """

    reached: int
    opened: int
    clicked: int
    left: int
    campaign: str = ""
    customer: str = ""
    outcome: str = OPEN
    reason: str | None = None
    variant: str | None = None
    channel: str = ""
    day: str = ""
    ways: list[Handed] = msgspec.field(default_factory=list)
    links: list[Followed] = msgspec.field(default_factory=list)
    delivered: int = 0
    bounced: int = 0
    complained: int = 0
    fell_back: int = 0
    opens: int = 0
    clicks: int = 0
    segments: int = 0
    cost: int = 0
    asked_segments: int = 0
    asked_cost: int = 0


class Told(msgspec.Struct):
    """Of an event of a message."""

    campaign: str
    reason: str | None = None
    channel: str | None = None
    variant: str | None = None
    link: str | None = None
    segments: int | None = None
    cost: int | None = None


class Left(msgspec.Struct):
    """Of `preference.withdrawn`."""

    message: str | None = None


OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        MessageSuppressed.type: "suppressed",
        MessageHeldOut.type: "held_out",
        MessageSent.type: "sent",
        MessageFailed.type: "failed",
        MessageUncertain.type: "uncertain",
    }
)
TYPES = (
    *(MessageScheduled.type, MessageSending.type, MessageFellBack.type, *OUTCOMES),
    *(MessageDelivered.type, MessageOpened.type, MessageClicked.type),
    *(MessageBounced.type, MessageComplained.type),
)


def _target(event: Event) -> str | None:
    if isinstance(event.data, Left):
        return event.data.message
    stream = event.light.stream
    return stream.removeprefix(STREAM) if stream.startswith(STREAM) else None


class FiguresFold:
    """Folds by the days of the chain's zone."""

    def __init__(self, zone: tzinfo) -> None:
        """`zone` is the chain's."""
        self._zone = zone

    def apply(self, message: MessageFigures | None, event: Event) -> MessageFigures:
        """The message after an event."""
        if message is None:
            message = MessageFigures(
                id=_target(event) or "", reached=0, opened=0, clicked=0, left=0
            )
        if isinstance(event.data, Left):
            message.left = 1
            return message
        told: Told = event.data
        message.campaign = told.campaign
        message.customer = event.light.subject or message.customer
        match event.type:
            case MessageScheduled.type:
                message.channel = told.channel or ""
                self._is(message, OPEN, event)
            case MessageSending.type:
                message.variant = told.variant
                message.channel = _handed(message, told.channel).channel
                message.asked_segments, message.asked_cost = told.segments or 0, told.cost or 0
            case MessageFellBack.type:
                message.fell_back = 1
                way = _handed(message, told.channel)
                way.fell_back, way.sent = 1, 0
                self._is(message, OPEN, event)
            case MessageDelivered.type | MessageOpened.type | MessageClicked.type:
                _arrived(message, event.type, told)
            case MessageBounced.type:
                message.bounced = _handed(message, told.channel).bounced = 1
            case MessageComplained.type:
                message.complained = _handed(message, told.channel).complained = 1
            case _:
                message.reason = told.reason
                self._is(message, OUTCOMES[event.type], event)
        return message

    def _is(self, message: MessageFigures, outcome: str, event: Event) -> None:
        message.outcome, message.day = outcome, str(event.time.astimezone(self._zone).date())
        message.reached = int(outcome == "sent")
        if outcome in {"sent", "failed", "uncertain"}:
            way = _handed(message, None)
            way.sent, way.failed = int(outcome == "sent"), int(outcome == "failed")
            way.uncertain = int(outcome == "uncertain")
        if outcome in {"sent", "uncertain"}:
            for each in (message, _handed(message, None)):
                each.segments += message.asked_segments
                each.cost += message.asked_cost
        message.asked_segments = message.asked_cost = 0


def _handed(message: MessageFigures, channel: str | None) -> Handed:
    """The way by a channel; without one the last."""
    channel = channel or message.channel
    for way in message.ways:
        if way.channel == channel:
            return way
    message.ways.append(Handed(channel))
    return message.ways[-1]


def _arrived(message: MessageFigures, what: str, told: Told) -> None:
    """What nobody can say of a message that has not arrived."""
    way = _handed(message, told.channel)
    for each in (message, way):
        each.delivered = 1
        if what == MessageOpened.type:
            each.opened, each.opens = 1, each.opens + 1
        elif what == MessageClicked.type:
            each.clicked, each.clicks = 1, each.clicks + 1
    if what == MessageClicked.type and told.link is not None:
        _follow(message, told.link)


def _follow(message: MessageFigures, link: str) -> None:
    for each in message.links:
        if each.link == link:
            each.times += 1
            return
    message.links = sorted([*message.links, Followed(link, 1)], key=lambda each: each.link)


def campaign_figures_of(zone: tzinfo) -> Projection[MessageFigures]:
    """Figures by the days of a zone."""
    return Projection(
        name="campaign_figures_v2",
        topics=("notification.events.v1",),
        reads=dict.fromkeys(TYPES, Told) | {PreferenceWithdrawn.type: Left},
        document=MessageFigures,
        target=_target,
        apply=FiguresFold(zone).apply,
        indexes=((("campaign", 1),),),
    )


CAMPAIGN_FIGURES = campaign_figures_of(UTC)
"""Figures of a chain that has set nothing."""
