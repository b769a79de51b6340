"""What receipts do to coupons: redeem them, take it back, and bring new customers by others.

Each code of a receipt is a command of its own, named after the receipt, so that a second reading
changes nothing. A code that nobody was given is none of ours.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.notify.domain.coupons import (
    COUPON,
    Coupon,
    RedeemCoupon,
    ReturnRedemption,
    coupon_stream,
    normal,
)
from services.notify.domain.coupons import referral as recommending
from services.notify.domain.coupons.coupon import decide
from services.notify.domain.coupons.referral import REFERRALS, Recommend
from shared.decider import NewEvent
from shared.envelope import Causation
from shared.eventstore import Claim, ClaimChange, body_hash
from shared.execute import Command, Joint, JointDecider, Writer

MOST_CODES = 20
"""Of one receipt that are looked at."""


@dataclass(frozen=True, slots=True)
class Bought:
    """A receipt with codes; `branch` is where it was."""

    receipt: str
    codes: tuple[str, ...]
    total: int
    by: str | None
    time: datetime
    branch: str | None
    why: Causation

    def streams(self) -> Iterator[str]:
        """Of the codes that can be some, each once."""
        found = [code for code in self.codes if normal(code) is not None]
        yield from dict.fromkeys(coupon_stream(code) for code in found[:MOST_CODES])


@dataclass(frozen=True, slots=True)
class CameBack:
    """A receipt of which so much came back; None: it never was."""

    receipt: str
    total: int | None
    time: datetime
    why: Causation


@dataclass(frozen=True, slots=True)
class _Use:
    """A code on a receipt: `number` is its place there."""

    stream: str
    number: int
    bought: Bought

    @property
    def claim(self) -> str:
        """By which a return finds the code."""
        return _claim(self.bought.receipt, self.number)


def _claim(receipt: str, number: int) -> str:
    return f"coupon-use|{receipt}|{number}"


def _redeem(
    use: _Use, states: Mapping[str, Coupon], _claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    bought = use.bought
    command = RedeemCoupon(bought.receipt, bought.total, bought.by, bought.time)
    events = decide(command, states[use.stream])
    return {use.stream: [NewEvent(each.data, each.time, bought.branch) for each in events]}


def _found_by(
    use: _Use, events: Mapping[str, Sequence[NewEvent]], claims: Mapping[str, Claim]
) -> Sequence[ClaimChange]:
    given = any(events.values()) and use.claim not in claims
    return (ClaimChange(use.claim, 0, use.stream),) if given else ()


REDEEMING: JointDecider[_Use, Coupon] = JointDecider(
    COUPON, _redeem, claim_ids=lambda use, _states: (use.claim,), changes=_found_by
)
RECOMMENDING: JointDecider[Recommend, int] = JointDecider(REFERRALS, recommending.decide)


async def redeem(writer: Writer, receipts: Sequence[Bought]) -> None:
    """Note the codes of receipts, and who came by whom. Raises `StoreUnavailable`."""
    uses = [
        _Use(stream, number, bought)
        for bought in receipts
        for number, stream in enumerate(bought.streams())
    ]
    known = await _known(writer, {use.stream for use in uses})
    joints: list[Joint[_Use]] = []
    recommended: dict[str, Joint[Recommend]] = {}
    for use in uses:
        coupon = known.get(use.stream)
        if coupon is None or coupon.issued is None:
            continue
        issued, bought = coupon.issued, use.bought
        name = f"redeem|{bought.receipt}|{use.number}"
        joints.append(Joint(name, body_hash(name), {use.stream: issued.customer}, use, bought.why))
        if issued.referring and bought.by not in (None, issued.customer):
            friend = Recommend(issued, bought.by or "", bought.receipt, bought.time)
            # Once in a life: the name of the command says so already.
            name = f"referred|{friend.friend}|{bought.receipt}"
            recommended.setdefault(
                name, Joint(name, body_hash(name), friend.streams, friend, bought.why)
            )
    if joints:
        await writer.jointly(REDEEMING, joints)
    if recommended:
        await writer.jointly(RECOMMENDING, list(recommended.values()))


async def take_back(writer: Writer, returns: Sequence[CameBack]) -> None:
    """Make the codes of whole returns good again. Raises `StoreUnavailable`."""
    wanted = {
        _claim(back.receipt, number): back for back in returns for number in range(MOST_CODES)
    }
    claims = await writer.store.claims(list(wanted)) if wanted else {}
    held = {
        (claim.owner, wanted[name].receipt, wanted[name].why.causation): wanted[name]
        for name, claim in claims.items()
        if claim.owner is not None
    }
    known = await _known(writer, {stream for stream, _, _ in held})
    commands: list[Command[RedeemCoupon | ReturnRedemption]] = []
    for (stream, receipt, event), back in held.items():
        issued = known[stream].issued
        if issued is None:
            continue
        name = f"coupon-back|{stream}|{event}"
        commands.append(
            Command(
                id=name,
                hash=body_hash(name),
                stream=stream,
                key=issued.customer,
                body=ReturnRedemption(receipt, back.time, back.total),
                causation=back.why,
                subject=issued.customer,
            )
        )
    if commands:
        await writer.many(COUPON, commands)


async def _known(writer: Writer, streams: Collection[str]) -> Mapping[str, Coupon]:
    histories = await writer.histories(sorted(streams)) if streams else {}
    return {stream: COUPON.fold(events) for stream, (events, _) in histories.items()}
