"""What events of facts tell: structs of just the fields that rules can ask for.

Texts that people wrote are not read at all.
"""

from collections.abc import Mapping

import msgspec

from services.segment.rules.words import FieldValue
from shared.envelope import Zoned
from shared.events import interaction as told
from shared.events.notification import (
    MessageClicked,
    MessageDelivered,
    MessageOpened,
    MessageSent,
)

Extra = dict[str, FieldValue]


class SoldLine(msgspec.Struct, frozen=True, gc=False):
    """Of a line of a receipt or an order."""

    product: str
    quantity: str
    amount: int
    categories: tuple[str, ...] | None = None


class Reported(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What facts of every kind have."""

    fact: str
    source: str | None = None
    extra: Extra | None = None


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_recorded`."""

    fact: str
    total: int
    coupon_lines: int
    lines: tuple[SoldLine, ...] = ()
    source: str | None = None
    extra: Extra | None = None
    till: str | None = None
    cashier: str | None = None
    coupons: tuple[str, ...] | None = None
    channel: str | None = None


class ReturnedLine(msgspec.Struct, frozen=True, gc=False):
    """Of what is given back of one line of a receipt."""

    line: int
    quantity: str
    amount: int


class Returned(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_returned`."""

    receipt: str
    total: int
    lines: tuple[ReturnedLine, ...] = ()


class Voided(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_voided`; `total` is what had not been returned."""

    receipt: str
    bought: Zoned
    total: int


class Visit(Reported, frozen=True, gc=False, kw_only=True):
    """Of `interaction.visit_recorded`."""

    visit: str
    state: str
    minutes: int | None = None
    service: str | None = None
    employee: str | None = None


class Order(Reported, frozen=True, gc=False, kw_only=True):
    """Of `interaction.order_changed`."""

    order: str
    state: str
    total: int | None = None
    lines: tuple[SoldLine, ...] | None = None
    channel: str | None = None
    carrier: str | None = None


class Call(Reported, frozen=True, gc=False, kw_only=True):
    """Of `interaction.call_recorded`."""

    direction: str
    answered: bool
    seconds: int | None = None
    employee: str | None = None


class Meeting(Reported, frozen=True, gc=False, kw_only=True):
    """Of `interaction.meeting_recorded`."""

    minutes: int | None = None
    employee: str | None = None


class Message(Reported, frozen=True, gc=False, kw_only=True):
    """Of `interaction.message_recorded`."""

    direction: str
    channel: str
    employee: str | None = None


class Complaint(Reported, frozen=True, gc=False, kw_only=True):
    """Of `interaction.complaint_recorded`."""

    about: str | None = None
    department: str | None = None
    channel: str | None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """Of an answer to one question."""

    question: str
    score: int | None = None


class Survey(Reported, frozen=True, gc=False, kw_only=True):
    """Of `interaction.survey_answered`."""

    survey: str
    score: int | None = None
    answers: tuple[Answer, ...] | None = None
    channel: str | None = None
    employee: str | None = None


class PageView(Reported, frozen=True, gc=False, kw_only=True):
    """Of `interaction.page_viewed`."""

    page: str
    product: str | None = None
    seconds: int | None = None
    scroll: int | None = None
    session: str | None = None


class Referral(Reported, frozen=True, gc=False, kw_only=True):
    """Of `interaction.referred`."""

    direction: str
    code: str | None = None


class Notified(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Of what became of a message of a campaign."""

    message: str
    campaign: str


class Clicked(Notified, frozen=True, gc=False, kw_only=True):
    """Of `message.clicked`."""

    link: str | None = None


MOVING_FACTS: Mapping[str, type[msgspec.Struct]] = {
    told.ReceiptRecorded.type: Recorded,
    told.ReceiptReturned.type: Returned,
    told.ReceiptVoided.type: Voided,
    told.VisitRecorded.type: Visit,
    told.OrderChanged.type: Order,
    told.CallRecorded.type: Call,
    told.MeetingRecorded.type: Meeting,
    told.MessageRecorded.type: Message,
    told.ComplaintRecorded.type: Complaint,
    told.SurveyAnswered.type: Survey,
    told.PageViewed.type: PageView,
    told.Referred.type: Referral,
}
"""Facts that change hands, and what is read of them."""

NOTIFICATIONS: Mapping[str, type[msgspec.Struct]] = {
    MessageSent.type: Notified,
    MessageDelivered.type: Notified,
    MessageOpened.type: Notified,
    MessageClicked.type: Clicked,
}
"""What becomes of messages of campaigns, and what is read of it."""
