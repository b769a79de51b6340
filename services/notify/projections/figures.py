"""`campaign_figures`: what became of a campaign's messages to one customer.

One document per campaign and customer, so that no document is everybody's; the figures of a
campaign are sums over them.
"""

import msgspec

from shared.events.notification import (
    MessageFailed,
    MessageHeldOut,
    MessageScheduled,
    MessageSent,
    MessageSuppressed,
    MessageUncertain,
)
from shared.projection import Document, Event, Projection


class CampaignFigures(Document, kw_only=True):
    """Counts of messages; each message is in exactly one, `open` until it has an outcome."""

    campaign: str
    open: int = 0
    sent: int = 0
    held_out: int = 0
    failed: int = 0
    uncertain: int = 0
    suppressed: dict[str, int] = msgspec.field(default_factory=dict)


class Counted(msgspec.Struct):
    """Of an event that changes a count."""

    campaign: str
    reason: str | None = None


def figures_id(campaign: str, customer: str) -> str:
    """The id of the figures of a campaign for a customer."""
    return f"{campaign}|{customer}"


def _target(event: Event) -> str | None:
    customer = event.light.subject
    return None if customer is None else figures_id(event.data.campaign, customer)


def apply(figures: CampaignFigures | None, event: Event) -> CampaignFigures:
    """The counts after an event.

    What opens and what closes a message commute between messages, and within one they come in
    order, so each event moves the counts by itself.
    """
    if figures is None:
        figures = CampaignFigures(id=_target(event) or "", campaign=event.data.campaign)
    match event.type:
        case MessageScheduled.type:
            figures.open += 1
            return figures
        case MessageSuppressed.type:
            reason = event.data.reason or "unknown"
            figures.suppressed[reason] = figures.suppressed.get(reason, 0) + 1
        case MessageHeldOut.type:
            figures.held_out += 1
        case MessageSent.type:
            figures.sent += 1
        case MessageFailed.type:
            figures.failed += 1
        case MessageUncertain.type:
            figures.uncertain += 1
    figures.open -= 1
    return figures


CAMPAIGN_FIGURES: Projection[CampaignFigures] = Projection(
    name="campaign_figures_v1",
    topics=("notification.events.v1",),
    reads=dict.fromkeys(
        (
            MessageScheduled.type,
            MessageSuppressed.type,
            MessageHeldOut.type,
            MessageSent.type,
            MessageFailed.type,
            MessageUncertain.type,
        ),
        Counted,
    ),
    document=CampaignFigures,
    target=_target,
    apply=apply,
    indexes=((("campaign", 1),),),
)
