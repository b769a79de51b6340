"""One code: given to one customer for one occasion, redeemed as often as it may be.

Its stream begins when it is given. So two who would give the same code to two people cannot both
do so, and who gives it again for the same occasion finds that it is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.notify.domain.coupons.codes import normal
from shared.decider import Decider, NewEvent, Refused
from shared.events.contract import EventData
from shared.events.coupons import CouponIssued, CouponRedeemed, CouponRedemptionReturned
from shared.eventstore import Claim, ClaimChange

TAKEN = "coupon-taken"
"""The type of the refusal of a code that somebody else has."""
MOST_KEPT = 1_000
"""Redemptions that are remembered one by one, so that each is counted once."""


def coupon_stream(code: str) -> str:
    """The stream of a code, however it is written. Raises ValueError for what is none."""
    found = normal(code)
    if found is None:
        message = "no code of a coupon"
        raise ValueError(message)
    return f"coupon-{found}"


def kept_claim(occasion: str) -> str:
    """The id of the code that an occasion got of codes that were brought in."""
    return f"coupon-of|{occasion}"


@dataclass(frozen=True, slots=True)
class Coupon:
    """A code as its stream has it; `uses` are the receipts that redeemed it, with their totals."""

    issued: CouponIssued | None = None
    uses: Mapping[str, int] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True)
class IssueCoupon:
    """Give a code to a customer; `is_kept`: it was brought in, and the occasion gets no other."""

    issued: CouponIssued
    at: datetime
    is_kept: bool = False

    @property
    def stream(self) -> str:
        """Of the code."""
        return coupon_stream(self.issued.code)


@dataclass(frozen=True, slots=True)
class RedeemCoupon:
    """A code stood on a receipt, which was at a time."""

    receipt: str
    total: int
    by: str | None
    time: datetime


@dataclass(frozen=True, slots=True)
class ReturnRedemption:
    """A receipt came back, or so much of it (None: it never was)."""

    receipt: str
    at: datetime
    total: int | None = None


def issue(command: IssueCoupon, state: Coupon) -> Sequence[NewEvent]:
    """The event; none where it is done. Raises `Refused` where somebody else has the code."""
    if state.issued is None:
        return (NewEvent(command.issued, command.at),)
    if state.issued.occasion == command.issued.occasion:
        return ()
    raise Refused(
        TAKEN,
        409,
        "Somebody else has this code.",
        extra={"occasion": command.issued.occasion},
    )


def decide(command: RedeemCoupon | ReturnRedemption, state: Coupon) -> Sequence[NewEvent]:
    """What a receipt, or its return, means to a code; nothing to one that nobody was given."""
    issued = state.issued
    if issued is None:
        return ()
    about = {"pool": issued.pool, "code": issued.code, "customer": issued.customer}
    if isinstance(command, ReturnRedemption):
        spent = state.uses.get(command.receipt)
        # Of what came back in part something was bought all the same.
        if spent is None or (command.total is not None and command.total < spent):
            return ()
        returned = CouponRedemptionReturned(
            **about, receipt=command.receipt, campaign=issued.campaign
        )
        return (NewEvent(returned, command.at),)
    own = issued.referring and command.by == issued.customer
    used_up = len(state.uses) >= min(issued.uses, MOST_KEPT) and not issued.referring
    if command.receipt in state.uses or used_up or own:
        return ()
    late = issued.valid_until is not None and command.time >= issued.valid_until
    redeemed = CouponRedeemed(
        **about,
        receipt=command.receipt,
        total=command.total,
        by=command.by,
        campaign=issued.campaign,
        late=late or None,
    )
    return (NewEvent(redeemed, command.time),)


def evolve(state: Coupon, data: EventData) -> Coupon:
    """The code after an event."""
    state = replace(state, version=state.version + 1)
    match data:
        case CouponIssued():
            return replace(state, issued=data)
        case CouponRedeemed(receipt=receipt, total=total):
            return replace(state, uses={**state.uses, receipt: total})
        case CouponRedemptionReturned(receipt=receipt):
            left = {each: total for each, total in state.uses.items() if each != receipt}
            return replace(state, uses=left)
        case _:
            message = f"a coupon has no event {data.type}"
            raise TypeError(message)


COUPON: Decider[RedeemCoupon | ReturnRedemption, Coupon] = Decider(Coupon, decide, evolve)


def issued_beside(
    commands: Sequence[IssueCoupon], states: Mapping[str, Coupon], claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]] | None:
    """What is written beside a message that says codes; None where it has got another one by now.

    Raises `Refused` where somebody else has a code.
    """
    found: dict[str, Sequence[NewEvent]] = {}
    for command in commands:
        if command.is_kept:
            held = claims.get(kept_claim(command.issued.occasion))
            if held is not None and held.owner != command.issued.code:
                return None
        events = issue(command, states[command.stream])
        if events:
            found[command.stream] = events
    return found


def kept_ids(commands: Sequence[IssueCoupon]) -> Sequence[str]:
    """The values that the codes touch."""
    return [kept_claim(each.issued.occasion) for each in commands if each.is_kept]


def kept_changes(
    commands: Sequence[IssueCoupon], claims: Mapping[str, Claim]
) -> Sequence[ClaimChange]:
    """The code that each occasion keeps, where it has none."""
    return [
        ClaimChange(kept_claim(each.issued.occasion), 0, each.issued.code)
        for each in commands
        if each.is_kept and kept_claim(each.issued.occasion) not in claims
    ]
