"""How the figures of campaigns are shown."""

from pydantic import BaseModel, Field

from services.notify.domain.findings import sentence_of
from services.notify.domain.uplift import Comparison, Difference, Finding, Group, compared
from services.notify.queries import Part
from shared.wording import Wording

SHARE_DIGITS = 6
MONEY_DIGITS = 2


class Heard(BaseModel):
    """Of opening or clicking: messages, how often in all, and by how many customers."""

    messages: int
    times: int
    people: int


class PartView(BaseModel):
    """Messages by what became of them: each is counted once in the first six."""

    sent: int
    suppressed: dict[str, int] = Field(description="by reason")
    holdout: int
    failed: int
    uncertain: int
    open: int = Field(description="without an outcome yet")
    scheduled: int = Field(description="all of them together")
    people: int = Field(description="customers to whom one was sent")
    delivered: int
    bounced: int = Field(description="by one channel at least")
    complained: int
    fell_back: int = Field(description="tried by another channel")
    opened: Heard
    clicked: Heard
    unsubscribed: int = Field(description="customers who wanted no more by a link in one")
    segments: int = Field(description="messages that SMS were for the network")
    cost_minor: int = Field(description="of what was sent or may have been, in minor units")


class BoughtView(BaseModel):
    """What customers bought within the days that count; money in minor units."""

    customers: int
    buyers: int
    receipts: int
    turnover_minor: int = Field(description="net of what they gave back")
    share_of_buyers: float
    turnover_per_customer_minor: float


class DifferenceView(BaseModel):
    """A difference with its interval of 95 %."""

    value: float
    low: float
    high: float
    finding: Finding


class ComparisonView(BaseModel):
    """One group beside another; who is in both is in neither."""

    of: str = Field(description="`sent`, or a variant")
    against: str = Field(description="`holdout`, or a variant")
    customers: int
    customers_against: int
    share_of_buyers: DifferenceView | None = Field(description="absent: too few to tell")
    turnover_per_customer_minor: DifferenceView | None
    finding: Finding
    sentence: str


class VariantView(PartView):
    """The figures of a variant."""

    variant: str
    bought: BoughtView


class DayView(PartView):
    """The figures of messages that had their outcome on a day."""

    day: str = Field(description="on the chain's calendar")


class ChannelView(BaseModel):
    """What became of what was handed to a channel."""

    channel: str
    sent: int
    failed: int
    uncertain: int
    fell_back: int
    delivered: int
    bounced: int
    complained: int
    opened: int
    opens: int
    clicked: int
    clicks: int
    segments: int
    cost_minor: int


class LinkView(BaseModel):
    """A link, and how often it was followed."""

    link: str
    clicks: int


class CampaignFiguresView(PartView):
    """What a campaign did, what was bought after it, and whether that tells anything."""

    campaign: str
    attribution_days: int = Field(description="that messages of the present definition count for")
    bought: BoughtView
    bought_in_holdout: BoughtView
    uplift: list[ComparisonView] = Field(description="against the holdout, then between variants")
    caution: str | None
    by_variant: list[VariantView]
    by_channel: list[ChannelView]
    by_day: list[DayView]
    links: list[LinkView]


def part_view(part: Part) -> PartView:
    """The figures of a part of the messages."""
    outcomes, told = part.outcomes, part.told
    return PartView(
        sent=outcomes.sent,
        suppressed=dict(outcomes.suppressed),
        holdout=outcomes.held_out,
        failed=outcomes.failed,
        uncertain=outcomes.uncertain,
        open=outcomes.open,
        scheduled=outcomes.scheduled,
        people=told.people["reached"],
        delivered=told.delivered,
        bounced=told.bounced,
        complained=told.complained,
        fell_back=told.fell_back,
        opened=Heard(messages=told.opened, times=told.opens, people=told.people["opened"]),
        clicked=Heard(messages=told.clicked, times=told.clicks, people=told.people["clicked"]),
        unsubscribed=told.people["left"],
        segments=told.segments,
        cost_minor=told.cost,
    )


def bought_view(group: Group) -> BoughtView:
    """What a group bought."""
    return BoughtView(
        customers=group.customers,
        buyers=group.buyers,
        receipts=group.receipts,
        turnover_minor=group.turnover,
        share_of_buyers=round(group.share, SHARE_DIGITS),
        turnover_per_customer_minor=round(group.mean, MONEY_DIGITS),
    )


def comparison_view(
    of: tuple[str, Group], against: tuple[str, Group], wording: Wording
) -> ComparisonView:
    """One named group beside another."""
    comparison: Comparison = compared(of[1], against[1])
    return ComparisonView(
        of=of[0],
        against=against[0],
        customers=of[1].customers,
        customers_against=against[1].customers,
        share_of_buyers=_difference(comparison.share, SHARE_DIGITS),
        turnover_per_customer_minor=_difference(comparison.turnover, MONEY_DIGITS),
        finding=comparison.finding,
        sentence=sentence_of(comparison, wording),
    )


def _difference(difference: Difference | None, digits: int) -> DifferenceView | None:
    if difference is None:
        return None
    return DifferenceView(
        value=round(difference.value, digits),
        low=round(difference.low, digits),
        high=round(difference.high, digits),
        finding=difference.finding,
    )
