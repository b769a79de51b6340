"""Events of interactions: what customers did, each fact once."""

from decimal import Decimal
from typing import ClassVar

from pydantic import Field

from shared.events.contract import EventData, MinorUnits, Part
from shared.events.customer import AnyKind


class FactIdentifier(Part):
    """What the fact's source knew of the customer; hashed as in `customer.Identifier`."""

    kind: AnyKind
    hash: str


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


class ReceiptRecorded(EventData):
    """A basket was paid. `branch` and `time` of the envelope say where and when."""

    type: ClassVar[str] = "interaction.receipt_recorded.v1"
    fact: str = Field(description="id of the fact, kept through every move between customers")
    source: str = Field(description="the system that reports it, e.g. `pos`")
    source_id: str = Field(description="the receipt's id there, unique within source and branch")
    total: MinorUnits
    coupon_lines: int = Field(ge=0, description="lines with a coupon discount other than 0")
    lines: tuple[ReceiptLine, ...]
    identified_by: FactIdentifier | None = None
    till: str | None = None
    cashier: str | None = None


EVENTS: tuple[type[EventData], ...] = (ReceiptRecorded,)
