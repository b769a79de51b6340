"""Events of interactions: what customers did, each fact once.

`branch` and `time` of the envelope say where and when it happened, `recordedtime` when it was
accepted. A fact of somebody who is not known yet is in a stream `unknown-<hash>` and has no
subject; it is adopted when the person becomes known (`shared.events.moving`).
"""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, MinorUnits, Moment, Part, Pii, PiiValue, open_list
from shared.events.customer import AnyKind

AnyDirection = Annotated[Literal["in", "out"], open_list("from the customer, or to the customer")]


class FactIdentifier(Part):
    """What the fact's source knew of the customer; hashed as in `customer.Identifier`."""

    kind: AnyKind
    hash: str
    value: Pii | None = Field(
        default=None, description="only while nobody is known by it, so that they can be registered"
    )


class Fact(EventData):
    """What all facts have in common."""

    fact: str = Field(description="id of the fact, kept through every move between customers")
    source: str = Field(description="the system that reports it, e.g. `pos`")
    source_id: str = Field(description="its id there, unique within source and branch")
    identified_by: FactIdentifier | None = None
    also: tuple[FactIdentifier, ...] | None = Field(
        default=None, description="what else the source knew of the customer"
    )
    extra: dict[str, PiiValue] | None = Field(default=None, description="the source's own fields")

    def holds_personal(self) -> bool:
        """Whether anything in it is sealed: most facts bring nothing personal along."""
        known = self.identified_by
        return bool(
            self.extra
            or (known is not None and known.value is not None)
            or any(each.value is not None for each in self.also or ())
            or self.holds_text()
        )

    def holds_text(self) -> bool:
        """Whether a text of the kind's own is sealed."""
        return False


class ReceiptLine(Part):
    """One line of a receipt. `quantity` may be 0, and so may amounts."""

    product: str
    quantity: Decimal
    amount: MinorUnits = Field(description="paid for the line, discounts taken off")
    discount: MinorUnits | None = Field(default=None, description="taken off by the shop")
    coupon: MinorUnits | None = Field(default=None, description="taken off by a coupon")
    coupon_match: MinorUnits | None = Field(
        default=None, description="taken off by the shop because of a coupon"
    )
    cost: MinorUnits | None = Field(default=None, description="of the whole line, where known")
    categories: tuple[str, ...] | None = Field(
        default=None, description="of the product when it was sold, from the root of the tree"
    )


class Payment(Part):
    """A part of what was paid."""

    kind: str = Field(description="e.g. `cash`, `card`, `points`")
    amount: MinorUnits


class ReceiptRecorded(Fact):
    """A basket was paid."""

    type: ClassVar[str] = "interaction.receipt_recorded.v1"
    total: MinorUnits
    coupon_lines: int = Field(ge=0, description="lines with a coupon discount other than 0")
    lines: tuple[ReceiptLine, ...]
    till: str | None = None
    cashier: str | None = None
    number: int | None = Field(default=None, description="of the receipt at its till, counting up")
    fiscal: str | None = Field(default=None, description="fiscal id")
    tips: MinorUnits | None = Field(default=None, description="beside the total")
    payments: tuple[Payment, ...] | None = None
    coupons: tuple[str, ...] | None = Field(default=None, description="codes of redeemed coupons")
    points_spent: int | None = Field(default=None, ge=1)
    order: str | None = Field(default=None, description="the web order that it pays, by source id")
    channel: str | None = Field(default=None, description="absent: in the shop")


class ReturnedLine(Part):
    """What is given back of one line of a receipt."""

    line: int = Field(ge=1, description="its position in the receipt")
    product: str
    quantity: Decimal
    amount: MinorUnits
    cost: MinorUnits | None = None
    categories: tuple[str, ...] | None = None


class ReceiptReturned(Fact):
    """Something of a receipt was given back. It is no visit, no receipt and no purchase."""

    type: ClassVar[str] = "interaction.receipt_returned.v1"
    room: ClassVar[int] = 30_000
    receipt: str = Field(description="id of the fact that is the receipt")
    bought: Moment = Field(description="the time of the receipt")
    total: MinorUnits = Field(description="what the customer got back")
    lines: tuple[ReturnedLine, ...]
    reason: Pii | None = None
    till: str | None = None
    cashier: str | None = None

    def holds_text(self) -> bool:
        """Why somebody brought it back."""
        return self.reason is not None


class ReceiptVoided(Fact):
    """A whole receipt was a mistake: it never happened, whatever was not returned yet included."""

    type: ClassVar[str] = "interaction.receipt_voided.v1"
    room: ClassVar[int] = 30_000
    receipt: str = Field(description="id of the fact that is the receipt")
    bought: Moment = Field(description="the time of the receipt")
    bought_at: str = Field(description="the branch of the receipt")
    total: MinorUnits = Field(description="what had not been returned")
    lines: tuple[ReturnedLine, ...] = Field(description="what had not been returned")
    tips: MinorUnits | None = None
    reason: Pii | None = None
    till: str | None = None
    cashier: str | None = None

    def holds_text(self) -> bool:
        """Why it was a mistake."""
        return self.reason is not None


class VisitRecorded(Fact):
    """A visit or booking came to a state. All states of one have the same `visit`."""

    type: ClassVar[str] = "interaction.visit_recorded.v1"
    visit: str = Field(description="the visit or booking, by the source's id")
    state: Annotated[
        Literal["booked", "kept", "missed", "cancelled", "walked_in"], open_list("what it came to")
    ]
    at: Moment | None = Field(default=None, description="when it is to be, or was")
    minutes: int | None = Field(default=None, ge=0)
    service: str | None = None
    employee: str | None = None
    note: Pii | None = None

    def holds_text(self) -> bool:
        """A note."""
        return self.note is not None


class OrderLine(Part):
    """One line of an order."""

    product: str
    quantity: Decimal
    amount: MinorUnits
    categories: tuple[str, ...] | None = None


class OrderChanged(Fact):
    """An order came to a state. It is no purchase: its receipt is."""

    type: ClassVar[str] = "interaction.order_changed.v1"
    order: str = Field(description="the order, by the source's id")
    state: Annotated[
        Literal[
            "placed",
            "paid",
            "packed",
            "shipped",
            "ready",
            "delivered",
            "not_delivered",
            "cancelled",
            "sent_back",
        ],
        open_list("what it came to"),
    ]
    total: MinorUnits | None = None
    lines: tuple[OrderLine, ...] | None = None
    channel: str | None = None
    carrier: str | None = None
    due: Moment | None = Field(default=None, description="when it should arrive")
    note: Pii | None = None

    def holds_text(self) -> bool:
        """A note, maybe an address."""
        return self.note is not None


class CallRecorded(Fact):
    """Somebody called, or was called."""

    type: ClassVar[str] = "interaction.call_recorded.v1"
    direction: AnyDirection
    answered: bool
    seconds: int | None = Field(default=None, ge=0)
    employee: str | None = None
    recording: str | None = Field(default=None, description="where it is kept, by that system's id")
    text: Pii | None = None

    def holds_text(self) -> bool:
        """What was said."""
        return self.text is not None


class MeetingRecorded(Fact):
    """An employee met the customer."""

    type: ClassVar[str] = "interaction.meeting_recorded.v1"
    minutes: int | None = Field(default=None, ge=0)
    employee: str | None = None
    place: Pii | None = None
    text: Pii | None = None

    def holds_text(self) -> bool:
        """Where, and what was said."""
        return self.text is not None or self.place is not None


class MessageRecorded(Fact):
    """A letter or message that other systems sent or got."""

    type: ClassVar[str] = "interaction.message_recorded.v1"
    direction: AnyDirection
    channel: str = Field(description="e.g. `email`, `sms`, `letter`, `telegram`")
    employee: str | None = None
    headline: Pii | None = None
    text: Pii | None = None

    def holds_text(self) -> bool:
        """What it says."""
        return self.text is not None or self.headline is not None


class ComplaintRecorded(Fact):
    """The customer complains, or asks for something that somebody must see to."""

    type: ClassVar[str] = "interaction.complaint_recorded.v1"
    about: str | None = Field(default=None, description="a word of the chain's own list")
    department: str | None = None
    channel: str | None = None
    receipt: str | None = Field(default=None, description="id of the fact that it is about")
    due: Moment | None = Field(default=None, description="when it must be settled")
    text: Pii | None = None

    def holds_text(self) -> bool:
        """What the customer says."""
        return self.text is not None


class Answer(Part):
    """An answer to one question."""

    question: str
    answer: Pii | None = None
    score: int | None = None

    @property
    def said(self) -> bool:
        """Whether there is a text."""
        return self.answer is not None


class SurveyAnswered(Fact):
    """A survey was answered, or a review written."""

    type: ClassVar[str] = "interaction.survey_answered.v1"
    survey: str
    score: int | None = None
    scale: int | None = Field(default=None, ge=1, description="the best score there is")
    answers: tuple[Answer, ...] | None = None
    channel: str | None = None
    employee: str | None = Field(default=None, description="whom it is about")
    receipt: str | None = Field(default=None, description="id of the fact that it is about")
    text: Pii | None = None

    def holds_text(self) -> bool:
        """What the customer wrote."""
        return self.text is not None or any(answer.said for answer in self.answers or ())


class PageViewed(Fact):
    """A page of the web shop was looked at."""

    type: ClassVar[str] = "interaction.page_viewed.v1"
    page: str
    product: str | None = None
    seconds: int | None = Field(default=None, ge=0)
    scroll: int | None = Field(default=None, ge=0, le=100, description="percent of the page")
    session: str | None = None


class Referred(Fact):
    """The customer brought somebody, or was brought."""

    type: ClassVar[str] = "interaction.referred.v1"
    direction: AnyDirection
    other: FactIdentifier | None = Field(
        default=None, description="who came, or who brought the customer"
    )
    code: str | None = None

    def holds_text(self) -> bool:
        """Who the other one is, in the clear."""
        return self.other is not None and self.other.value is not None


FACTS: tuple[type[Fact], ...] = (
    ReceiptRecorded,
    ReceiptReturned,
    ReceiptVoided,
    VisitRecorded,
    OrderChanged,
    CallRecorded,
    MeetingRecorded,
    MessageRecorded,
    ComplaintRecorded,
    SurveyAnswered,
    PageViewed,
    Referred,
)


class MisuseSuspected(EventData):
    """Somebody has more receipts on one of the chain's days than it allows; said once per day."""

    type: ClassVar[str] = "interaction.misuse_suspected.v1"
    day: str = Field(description="ISO 8601 date in the chain's zone")
    count: int = Field(ge=1, description="receipts on the day, when it was noticed")
    limit: int = Field(ge=1, description="how many the chain allows")
    fact: str | None = Field(
        default=None, description="id of the fact that was one too many; absent after a move"
    )


class MisuseLifted(EventData):
    """A person has looked at suspicions, and they were none."""

    type: ClassVar[str] = "interaction.misuse_lifted.v1"
    days: tuple[str, ...] = Field(min_length=1, description="those that are suspected no more")
    by: str | None = Field(default=None, description="id of the principal")


EVENTS: tuple[type[EventData], ...] = (*FACTS, MisuseSuspected, MisuseLifted)
