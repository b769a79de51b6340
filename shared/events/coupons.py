"""Events of coupons and recommendations: what a code is, who has it, and what it brought.

A code is in the stream `coupon-<its normal form>`: letters and digits, upper case. The stream
begins when the code is given to somebody, which happens once.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, MinorUnits, Moment, Part, open_list

AnyCodes = Annotated[Literal["generated", "imported"], open_list("where its codes come from")]


class Referring(Part):
    """What the codes of a pool are when each names who recommends the chain."""

    reward: str | None = Field(default=None, description="what the one who recommends gets")
    welcome: str | None = Field(default=None, description="what the one who comes gets")


class CouponPoolDefined(EventData):
    """A pool of codes has a (new) definition; codes that were given keep what they were given."""

    type: ClassVar[str] = "coupon.pool_defined.v1"
    pool: str
    title: str
    codes: AnyCodes
    letters: int = Field(
        default=8, ge=6, le=16, description="of a generated code, without its check letter"
    )
    prefix: str | None = Field(default=None, description="before generated letters, with a hyphen")
    valid_for: str | None = Field(
        default=None, description="ISO 8601 duration; the last day counts whole"
    )
    valid_until: Moment | None = Field(default=None, description="not included")
    uses: int = Field(default=1, ge=1, description="how often one code can be redeemed")
    referring: Referring | None = Field(
        default=None, description="each customer has one code of it, which others redeem"
    )


class CouponCodesAdded(EventData):
    """Codes that were made elsewhere may be given to people."""

    type: ClassVar[str] = "coupon.codes_added.v1"
    pool: str
    codes: tuple[str, ...] = Field(description="as they are written")


class CouponIssued(EventData):
    """A code was given to a customer, and is never given to another."""

    type: ClassVar[str] = "coupon.issued.v1"
    pool: str
    code: str = Field(description="as it is written")
    customer: str
    occasion: str = Field(description="for what: id of the message, of the printed list, …")
    message: str | None = None
    campaign: str | None = None
    valid_until: Moment | None = Field(default=None, description="not included")
    uses: int = Field(default=1, ge=1, description="how often it can be redeemed")
    referring: bool | None = Field(
        default=None, description="it is the customer's own code, for others to redeem"
    )


class CouponRedeemed(EventData):
    """A code stood on a receipt."""

    type: ClassVar[str] = "coupon.redeemed.v1"
    pool: str
    code: str
    customer: str = Field(description="to whom it was given")
    receipt: str = Field(description="id of the fact")
    total: MinorUnits = Field(description="of the receipt")
    by: str | None = Field(default=None, description="who bought, where that is known")
    campaign: str | None = None
    late: bool | None = Field(default=None, description="its time was over")


class CouponRedemptionReturned(EventData):
    """The receipt came back, or never was: the code is as good as before."""

    type: ClassVar[str] = "coupon.redemption_returned.v1"
    pool: str
    code: str
    customer: str
    receipt: str
    campaign: str | None = None


class ReferralBrought(EventData):
    """Somebody bought for the first time by this customer's recommendation."""

    type: ClassVar[str] = "referral.brought.v1"
    pool: str
    code: str
    customer: str = Field(description="who recommended")
    friend: str = Field(description="who came")
    receipt: str


class ReferralCame(EventData):
    """This customer bought for the first time by a recommendation: once in a life."""

    type: ClassVar[str] = "referral.came.v1"
    pool: str
    code: str
    customer: str = Field(description="who came")
    referrer: str = Field(description="who recommended")
    receipt: str


EVENTS: tuple[type[EventData], ...] = (
    CouponPoolDefined,
    CouponCodesAdded,
    CouponIssued,
    CouponRedeemed,
    CouponRedemptionReturned,
    ReferralBrought,
    ReferralCame,
)
