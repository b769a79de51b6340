"""`campaign_effects`: what customers bought after a message, or after one that was held out.

One document per customer: what was decided for them, what they bought, and what that comes to for
each campaign, so that figures are sums of it. Nothing rests on the order in which topics are read:
all purchases are kept, since the message before a receipt may be heard of later than the receipt.
Facts that change hands count at once; a merge says where they have gone, and the question joins
what was decided for one record with what its person buys as another.
"""

from typing import Literal

import msgspec
from msgspec import structs

from services.notify.domain.effect import DAY, Arm, Bought, Window, bought, with_purchase
from shared.envelope import Zoned
from shared.events.campaign import DEFAULT_ATTRIBUTION_DAYS
from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.events.merging import CustomerMerged, MergeReverted
from shared.events.moving import FactsMoved, FactWithdrawn
from shared.events.notification import (
    MessageFailed,
    MessageFellBack,
    MessageHeldOut,
    MessageSending,
    MessageSent,
)
from shared.moments import milliseconds
from shared.moves import Fact, MovedFacts, Moving, Withdrawn
from shared.projection import Document, Event, Projection


class Decided(msgspec.Struct, array_like=True):
    """A message that goes out or was held out.

    `at` is the milliseconds of the moment from which receipts count; 0 while it is not sent yet.
    """

    message: str
    campaign: str
    arm: Arm
    variant: str | None
    days: int
    at: int


class Effect(msgspec.Struct):
    """What the customer bought for an arm of a campaign (`domain.effect.Bought`).

    `variant` is empty for all of them together; 0 or 1 are `comparable` and `buyer`. `square` is
    that of the turnover, which may be beyond what 64 bits hold as a whole number.
    """

    campaign: str
    arm: Arm
    variant: str
    comparable: int
    buyer: int
    receipts: int
    turnover: int
    square: float


class CustomerEffects(Document, kw_only=True):
    """A customer; `survivor` is the record that it was merged into."""

    decided: list[Decided] = msgspec.field(default_factory=list)
    purchases: bytes = b""
    effects: list[Effect] = msgspec.field(default_factory=list)
    survivor: str | None = None


class Sending(msgspec.Struct, gc=False):
    """Of `message.sending`."""

    message: str
    campaign: str
    variant: str | None = None
    attribution_days: int | None = None


class HeldOut(msgspec.Struct, gc=False):
    """Of `message.held_out`."""

    message: str
    campaign: str
    attribution_days: int | None = None


class Sent(msgspec.Struct, gc=False):
    """Of `message.sent`."""

    message: str


class NotSent(msgspec.Struct, gc=False):
    """Of what says that it did not reach by this channel."""

    message: str


class Receipt(msgspec.Struct, gc=False):
    """Of `interaction.receipt_recorded`."""

    total: int


class Returned(msgspec.Struct, gc=False):
    """Of `interaction.receipt_returned`."""

    bought: Zoned
    total: int


class Voided(msgspec.Struct, gc=False):
    """Of `interaction.receipt_voided`: what had not been returned."""

    bought: Zoned
    total: int


class MovingHere(Moving, frozen=True):
    """Of `interaction.facts_moved`: whether the facts come to this customer."""

    direction: str


class Merged(msgspec.Struct):
    """Of `customer.merged`."""

    survivor: str


class Reverted(msgspec.Struct):
    """Of `customer.merge_reverted`."""

    role: Literal["survivor", "loser"]


_FACTS: dict[str, type[msgspec.Struct]] = {
    ReceiptRecorded.type: Receipt,
    ReceiptReturned.type: Returned,
    ReceiptVoided.type: Voided,
}
_MOVED = MovedFacts(_FACTS)


def _target(event: Event) -> str | None:
    """Facts of nobody known count once they are somebody's."""
    return event.light.subject


def apply(customer: CustomerEffects | None, event: Event) -> CustomerEffects:
    """The customer after an event."""
    if customer is None:
        customer = CustomerEffects(id=event.light.subject or "")
    match event.data:
        case Merged(survivor=survivor):
            customer.survivor = survivor
            return customer
        case Reverted(role=role):
            customer.survivor = None if role == "loser" else customer.survivor
            return customer
        case MovingHere() as moving:
            sign = 1 if moving.direction == "in" else -1
            for fact in _MOVED.of(moving):
                _buy(customer, fact, sign)
        case Withdrawn() as withdrawn:
            for fact in _MOVED.of(withdrawn):
                _buy(customer, fact, -1)
        case Receipt() | Returned() | Voided():
            _buy(customer, event, 1)
        case _:
            _decide(customer, event)
    windows = windows_of(customer.decided)
    customer.effects = [_effect(each) for each in bought(windows, customer.purchases)]
    return customer


def _buy(customer: CustomerEffects, fact: Event | Fact, sign: int) -> None:
    """Add a fact, or take it away."""
    data, receipts, at = fact.data, 0, fact.time
    if isinstance(data, Receipt):
        receipts, turnover = 1, data.total
    else:
        receipts, turnover = -isinstance(data, Voided), -data.total
        at = data.bought
    customer.purchases = with_purchase(
        customer.purchases, milliseconds(at), sign * receipts, sign * turnover
    )


def _decide(customer: CustomerEffects, event: Event) -> None:
    """What an event of a message says of when receipts count for it."""
    data = event.data
    known = next((each for each in customer.decided if each.message == data.message), None)
    others = [each for each in customer.decided if each.message != data.message]
    match data:
        case Sending(variant=variant):
            days = data.attribution_days or DEFAULT_ATTRIBUTION_DAYS
            others.append(Decided(data.message, data.campaign, "sent", variant, days, 0))
        case HeldOut():
            days = data.attribution_days or DEFAULT_ATTRIBUTION_DAYS
            at = milliseconds(event.time)
            others.append(Decided(data.message, data.campaign, "held_out", None, days, at))
        case Sent() if known is not None:
            others.append(structs.replace(known, at=milliseconds(event.time)))
    customer.decided = sorted(others, key=lambda each: each.message)


def windows_of(decided: list[Decided]) -> list[Window]:
    """When receipts count, for those messages that were sent or held out."""
    return [
        Window(each.campaign, each.arm, each.variant, each.at, each.at + each.days * DAY)
        for each in decided
        if each.at
    ]


def _effect(each: Bought) -> Effect:
    return Effect(
        campaign=each.campaign,
        arm=each.arm,
        variant=each.variant or "",
        comparable=int(each.comparable),
        buyer=int(each.receipts > 0),
        receipts=each.receipts,
        turnover=each.turnover,
        square=float(each.turnover) ** 2,
    )


CAMPAIGN_EFFECTS: Projection[CustomerEffects] = Projection(
    name="campaign_effects_v1",
    topics=("notification.events.v1", "interaction.events.v1", "customer.events.v1"),
    reads={
        **_FACTS,
        FactsMoved.type: MovingHere,
        FactWithdrawn.type: Withdrawn,
        MessageSending.type: Sending,
        MessageHeldOut.type: HeldOut,
        MessageSent.type: Sent,
        MessageFailed.type: NotSent,
        MessageFellBack.type: NotSent,
        CustomerMerged.type: Merged,
        MergeReverted.type: Reverted,
    },
    document=CustomerEffects,
    target=_target,
    apply=apply,
    indexes=((("effects.campaign", 1),), (("survivor", 1), ("effects.campaign", 1))),
)
