"""Receipts, what is given back of them, and voids, as tills send them."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from services.interaction.domain.facts import command_id, fact_id
from services.interaction.domain.receipts import coupon_lines_of, total_of
from services.interaction.domain.returns import TakeBack, WantedLine
from services.interaction.handlers.incoming.forms import Amount, At, Branch, Input, Quantity, Text
from services.interaction.handlers.incoming.who import (
    BranchFactInput,
    LongText,
    NotNegative,
    SourceOf,
)
from services.interaction.handlers.returns import SentReturn
from shared.events.contract import show_moment
from shared.events.interaction import Payment, ReceiptLine, ReceiptRecorded
from shared.eventstore import body_hash

MAX_LINES = 2_000
NotNegativeAmount = Annotated[Amount, Field(ge=0)]
Category = Annotated[tuple[Text, ...], Field(min_length=1, max_length=10)]


class LineInput(ReceiptLine):
    """One line, as the contract has it, within limits; amounts in minor units, of any sign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    product: Text
    quantity: Quantity = Field(description="may be 0")
    amount: Amount = Field(description="paid for the line, discounts taken off; may be 0")
    discount: Amount | None = Field(default=None, description="taken off by the shop")
    coupon: Amount | None = Field(default=None, description="taken off by a coupon")
    coupon_match: Amount | None = Field(
        default=None, description="taken off by the shop because of a coupon"
    )
    cost: Amount | None = Field(
        default=None, description="of the whole line; else the catalogue's, where it has one"
    )
    categories: Category | None = Field(
        default=None, description="from the root of the tree; else the catalogue's"
    )


class PaymentInput(Payment):
    """A part of what was paid."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Text
    amount: Amount


class ReceiptInput(BranchFactInput):
    """A basket that was paid. Without any identifier it counts for its branch alone."""

    kind: Literal["receipt"] = "receipt"
    source: SourceOf = "pos"
    lines: tuple[LineInput, ...] = Field(min_length=1, max_length=MAX_LINES)
    total: Amount | None = Field(default=None, description="the sum of the lines, to be checked")
    till: Text | None = None
    cashier: Text | None = None
    number: NotNegative | None = Field(
        default=None, description="of the receipt at its till, counting up by one"
    )
    fiscal: Text | None = Field(default=None, description="fiscal id")
    tips: NotNegativeAmount | None = Field(default=None, description="beside the total")
    payments: tuple[PaymentInput, ...] | None = Field(default=None, min_length=1, max_length=20)
    coupons: tuple[Text, ...] | None = Field(
        default=None, min_length=1, max_length=100, description="codes of redeemed coupons"
    )
    points_spent: Annotated[int, Field(strict=True, ge=1, le=10**9)] | None = None
    order: Text | None = Field(default=None, description="the web order that it pays, by source id")
    channel: Text | None = Field(default=None, description="left out: in the shop")

    def data(self, about: dict[str, Any]) -> ReceiptRecorded:
        """The event's data; refuses a total that is not that of the lines."""
        return ReceiptRecorded(
            **about,
            total=total_of(self.lines, self.total),
            coupon_lines=coupon_lines_of(self.lines),
            lines=self.lines,
            till=self.till,
            cashier=self.cashier,
            number=self.number,
            fiscal=self.fiscal,
            tips=self.tips,
            payments=self.payments,
            coupons=self.coupons,
            points_spent=self.points_spent,
            order=self.order,
            channel=self.channel,
        )


class ReceiptName(Input):
    """A receipt by the ids of its source."""

    source: SourceOf = "pos"
    source_id: Text
    branch: Branch | None = Field(default=None, description="left out: the same branch")


class TakeBackInput(Input):
    """What returns and voids have in common."""

    void: ClassVar[bool]

    source: SourceOf = "pos"
    source_id: Text = Field(
        description="of this, unique within source and branch, receipts included"
    )
    branch: Branch
    time: At = Field(description="by the clock of the till; at most a day ahead")
    receipt: ReceiptName
    reason: LongText | None = None
    till: Text | None = None
    cashier: Text | None = None

    def wanted(self) -> tuple[WantedLine, ...] | None:
        """The lines; None for everything."""
        return None

    def taken_back(self, now: datetime) -> SentReturn:
        """As it is recorded. Raises `Refused`."""
        named = self.receipt
        place = (named.source, named.branch or self.branch, named.source_id)
        command = TakeBack(
            source=self.source,
            source_id=self.source_id,
            branch=self.branch,
            time=self.time,
            now=now,
            receipt=fact_id(*place),
            void=self.void,
            lines=self.wanted(),
            reason=self.reason,
            till=self.till,
            cashier=self.cashier,
        )
        plain = self.model_dump(mode="json", exclude_none=True, exclude={"kind", "time"})
        digest = body_hash([plain, self.void, show_moment(self.time)])
        return SentReturn(command, command_id(*place), digest)


class ReturnedLineInput(Input):
    """What is given back of a line."""

    line: Annotated[int, Field(strict=True, ge=1, le=MAX_LINES)] = Field(
        description="its position in the receipt, from 1"
    )
    quantity: Quantity
    amount: Amount | None = Field(
        default=None, description="what the customer gets; left out: its part of what was paid"
    )


class ReturnInput(TakeBackInput):
    """Something of a receipt is given back: some lines, or all that is left of it."""

    kind: Literal["return"] = "return"
    void: ClassVar[bool] = False
    lines: tuple[ReturnedLineInput, ...] | None = Field(
        default=None, min_length=1, max_length=MAX_LINES, description="left out: everything"
    )

    def wanted(self) -> tuple[WantedLine, ...] | None:
        """The lines; None for everything."""
        if self.lines is None:
            return None
        return tuple(WantedLine(each.line, each.quantity, each.amount) for each in self.lines)


class VoidInput(TakeBackInput):
    """The receipt was a mistake: it never happened."""

    kind: Literal["void"] = "void"
    void: ClassVar[bool] = True
