"""Giving codes to customers beside any message: a printed list, a person at the desk."""

from collections.abc import Mapping, Sequence

from services.notify.domain.coupons import (
    COUPON,
    Coupon,
    IssueCoupon,
    issued_beside,
    kept_changes,
    kept_ids,
)
from shared.decider import NewEvent
from shared.envelope import Causation
from shared.eventstore import Claim, body_hash
from shared.execute import Joint, JointDecider, Outcome, Writer


def _decide(
    command: IssueCoupon, states: Mapping[str, Coupon], claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    return issued_beside([command], states, claims) or {}


ISSUING: JointDecider[IssueCoupon, Coupon] = JointDecider(
    COUPON,
    _decide,
    claim_ids=lambda command, _states: kept_ids([command]),
    changes=lambda command, events, claims: kept_changes([command], claims) if events else (),
)


async def issue_all(writer: Writer, commands: Sequence[IssueCoupon]) -> Sequence[Outcome]:
    """Give the codes; each is its own outcome. Raises `StoreUnavailable`."""
    return await writer.jointly(ISSUING, [_joint(command) for command in commands])


def _joint(command: IssueCoupon) -> Joint[IssueCoupon]:
    issued = command.issued
    command_id = f"issue|{issued.pool}|{issued.occasion}|{issued.code}"
    return Joint(
        id=command_id,
        hash=body_hash(command_id),
        streams={command.stream: issued.customer},
        body=command,
        causation=Causation(correlation=issued.occasion),
    )
