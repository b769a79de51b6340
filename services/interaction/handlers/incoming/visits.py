"""Visits and bookings, web orders, page views and referrals, as web shops and desks send them."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from services.interaction.handlers.incoming.forms import Amount, At, Quantity, Text
from services.interaction.handlers.incoming.receipts import MAX_LINES, Category
from services.interaction.handlers.incoming.who import (
    BranchFactInput,
    FactInput,
    IdentifierInput,
    LongText,
    NotNegative,
    SourceOf,
)
from shared.events.interaction import (
    Fact,
    FactIdentifier,
    OrderChanged,
    OrderLine,
    PageViewed,
    Referred,
    VisitRecorded,
)
from shared.identifiers import IdentifierRules


class VisitInput(BranchFactInput):
    """A visit or booking came to a state. All states of one have the same `visit`."""

    kind: Literal["visit"] = "visit"
    source: SourceOf = "visits"
    visit: Text = Field(description="the visit or booking, by the source's id")
    state: Literal["booked", "kept", "missed", "cancelled", "walked_in"]
    at: At | None = Field(default=None, description="when it is to be, or was")
    minutes: NotNegative | None = None
    service: Text | None = None
    employee: Text | None = None
    note: LongText | None = None

    def data(self, about: dict[str, Any]) -> VisitRecorded:
        """The event's data."""
        return VisitRecorded(
            **about,
            visit=self.visit,
            state=self.state,
            at=self.at,
            minutes=self.minutes,
            service=self.service,
            employee=self.employee,
            note=self.note,
        )


class OrderLineInput(OrderLine):
    """One line of an order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    product: Text
    quantity: Quantity
    amount: Amount
    categories: Category | None = None


class OrderInput(FactInput):
    """An order came to a state. All states of one have the same `order`."""

    kind: Literal["order"] = "order"
    source: SourceOf = "shop"
    order: Text = Field(description="the order, by the source's id")
    state: Literal[
        "placed",
        "paid",
        "packed",
        "shipped",
        "ready",
        "delivered",
        "not_delivered",
        "cancelled",
        "sent_back",
    ]
    total: Amount | None = None
    lines: tuple[OrderLineInput, ...] | None = Field(
        default=None, min_length=1, max_length=MAX_LINES
    )
    channel: Text | None = None
    carrier: Text | None = None
    due: At | None = Field(default=None, description="when it should arrive")
    note: LongText | None = None

    def data(self, about: dict[str, Any]) -> OrderChanged:
        """The event's data."""
        return OrderChanged(
            **about,
            order=self.order,
            state=self.state,
            total=self.total,
            lines=self.lines,
            channel=self.channel,
            carrier=self.carrier,
            due=self.due,
            note=self.note,
        )


class PageViewInput(FactInput):
    """A page of the web shop was looked at; until a login, by whoever a cookie stands for."""

    kind: Literal["page_view"] = "page_view"
    source: SourceOf = "shop"
    page: Annotated[str, Field(min_length=1, max_length=2_000)]
    product: Text | None = None
    seconds: NotNegative | None = None
    scroll: Annotated[int, Field(strict=True, ge=0, le=100)] | None = Field(
        default=None, description="percent of the page"
    )
    session: Text | None = None

    def data(self, about: dict[str, Any]) -> PageViewed:
        """The event's data."""
        return PageViewed(
            **about,
            page=self.page,
            product=self.product,
            seconds=self.seconds,
            scroll=self.scroll,
            session=self.session,
        )


class ReferralInput(FactInput):
    """The customer brought somebody (`out`), or was brought (`in`)."""

    kind: Literal["referral"] = "referral"
    source: SourceOf = "shop"
    direction: Literal["in", "out"]
    other: IdentifierInput | None = Field(
        default=None, description="who came, or who brought the customer"
    )
    code: Text | None = None

    def data(self, about: dict[str, Any]) -> Referred:
        """The event's data, without the other one."""
        return Referred(**about, direction=self.direction, code=self.code)

    def completed(self, fact: Fact, rules: IdentifierRules) -> Fact:
        """The event's data with the other one: a hash alone, as this is not told by that person."""
        if self.other is None:
            return fact
        known = rules.known(self.other.kind, self.other.value, "other.value")
        other = FactIdentifier(kind=known.kind, hash=known.hash)
        return fact.model_copy(update={"other": other})
