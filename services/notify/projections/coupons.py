"""`coupons`: every code that was given to somebody, and the receipts that redeemed it.

One document per code, so that the figures of a pool or a campaign are sums over them.
"""

from datetime import datetime

import msgspec

from services.notify.domain.coupons import normal
from shared.events.coupons import CouponIssued, CouponRedeemed, CouponRedemptionReturned
from shared.projection import Document, Event, Projection

MOST_USES = 1_000
"""Receipts that are kept one by one; of more only the counts go on."""


class Use(msgspec.Struct, gc=False, omit_defaults=True):
    """A receipt by which a code was redeemed."""

    receipt: str
    total: int
    at: datetime
    by: str | None = None
    branch: str | None = None
    late: bool = False


class GivenCoupon(Document, kw_only=True, omit_defaults=True):
    """A code; the id is its normal form, `code` is as it is written.

    `most` is how often it can be redeemed, as its pool said when it was given.
    """

    pool: str = ""
    code: str = ""
    customer: str = ""
    campaign: str | None = None
    message: str | None = None
    referring: bool = False
    issued_at: datetime | None = None
    valid_until: datetime | None = None
    most: int | None = None
    redeemed: int = 0
    turnover: int = 0
    uses: list[Use] = msgspec.field(default_factory=list)


class Issued(msgspec.Struct):
    """Of `coupon.issued`."""

    pool: str
    code: str
    customer: str
    campaign: str | None = None
    message: str | None = None
    referring: bool | None = None
    valid_until: datetime | None = None
    uses: int | None = None


class Redeemed(msgspec.Struct):
    """Of `coupon.redeemed`."""

    code: str
    receipt: str
    total: int
    by: str | None = None
    late: bool | None = None


class Returned(msgspec.Struct):
    """Of `coupon.redemption_returned`."""

    code: str
    receipt: str


def _target(event: Event) -> str | None:
    return normal(event.data.code)


def apply(coupon: GivenCoupon | None, event: Event) -> GivenCoupon:
    """The code after an event."""
    if coupon is None:
        coupon = GivenCoupon(id=_target(event) or "")
    match event.data:
        case Issued() as issued:
            coupon.pool, coupon.code, coupon.customer = issued.pool, issued.code, issued.customer
            coupon.campaign, coupon.message = issued.campaign, issued.message
            coupon.referring, coupon.most = bool(issued.referring), issued.uses
            coupon.issued_at, coupon.valid_until = event.time, issued.valid_until
        case Redeemed() as use:
            coupon.redeemed += 1
            coupon.turnover += use.total
            branch, late = event.light.branch, bool(use.late)
            found = Use(use.receipt, use.total, event.time, use.by, branch, late)
            coupon.uses = [*coupon.uses, found][-MOST_USES:]
        case Returned(receipt=receipt):
            gone = [each for each in coupon.uses if each.receipt == receipt]
            coupon.redeemed -= 1
            coupon.turnover -= sum(each.total for each in gone)
            coupon.uses = [each for each in coupon.uses if each.receipt != receipt]
    return coupon


COUPONS: Projection[GivenCoupon] = Projection(
    name="coupons_v1",
    topics=("notification.events.v1",),
    reads={
        CouponIssued.type: Issued,
        CouponRedeemed.type: Redeemed,
        CouponRedemptionReturned.type: Returned,
    },
    document=GivenCoupon,
    target=_target,
    apply=apply,
    indexes=(
        (("pool", 1), ("campaign", 1)),
        (("customer", 1), ("issued_at", 1)),
    ),
)
