"""Who came by whose recommendation: once in a life, and both sides are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.decider import Decider, NewEvent
from shared.events.contract import EventData
from shared.events.coupons import CouponIssued, ReferralBrought, ReferralCame
from shared.eventstore import Claim


def came_stream(friend: str) -> str:
    """The stream of how somebody came."""
    return f"referral-{friend}"


def brought_stream(customer: str) -> str:
    """The stream of whom a customer has brought."""
    return f"referrals-{customer}"


@dataclass(frozen=True, slots=True)
class Recommend:
    """Somebody bought by the code of another customer."""

    issued: CouponIssued
    friend: str
    receipt: str
    at: datetime

    @property
    def came(self) -> str:
        """The stream of how the friend came."""
        return came_stream(self.friend)

    @property
    def brought(self) -> str:
        """The stream of whom the customer has brought."""
        return brought_stream(self.issued.customer)

    @property
    def streams(self) -> Mapping[str, str]:
        """Both, with whom they concern."""
        return {self.came: self.friend, self.brought: self.issued.customer}


def decide(
    command: Recommend, states: Mapping[str, int], _claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    """What both are told; nothing where the friend has come before."""
    if states[command.came]:
        return {}
    issued = command.issued
    about = {"pool": issued.pool, "code": issued.code, "receipt": command.receipt}
    came = ReferralCame(**about, customer=command.friend, referrer=issued.customer)
    brought = ReferralBrought(**about, customer=issued.customer, friend=command.friend)
    return {
        command.came: (NewEvent(came, command.at),),
        command.brought: (NewEvent(brought, command.at),),
    }


def _alone(_command: object, _state: int) -> Sequence[NewEvent]:
    return ()


def _counted(count: int, data: EventData) -> int:
    if isinstance(data, ReferralCame | ReferralBrought):
        return count + 1
    message = f"recommendations have no event {data.type}"
    raise TypeError(message)


REFERRALS: Decider[object, int] = Decider(lambda: 0, _alone, _counted)
"""Counts what a stream tells; what happens is decided over both by `decide`."""
