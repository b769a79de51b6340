"""A step of a message together with what must be written with it: the customer's ledger of caps.

`sending` and its slot are one transaction, and a hand-over that certainly reached nobody gives the
slot back in the same one. Of two customers with one address a broadcast takes the first: the
address is a claim of the run, which changes with the message that gets it. Of the messages of one
occasion to several ids of one person the survivor's takes the place of those that wait.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from services.notify.domain import ledger as ledgers
from services.notify.domain.coupons import (
    COUPON,
    Coupon,
    IssueCoupon,
    issued_beside,
    kept_changes,
    kept_ids,
)
from services.notify.domain.ledger import Ledger, LedgerCommand, ReturnSlot, TakeSlot
from services.notify.domain.message import (
    MESSAGE,
    Message,
    MessageCommand,
    Stage,
    Suppress,
    message_stream,
)
from shared.decider import Decider, NewEvent, Refused
from shared.events.contract import EventData
from shared.events.sending import SlotReturned, SlotTaken
from shared.eventstore import Claim, ClaimChange

ADDRESSED = "addressed"
"""The type of the refusal of a second message to one address."""
MAY_BE_TOLD: frozenset[Stage] = frozenset(
    {Stage.SENDING, Stage.SENT, Stage.DELIVERED, Stage.UNCERTAIN}
)
"""The stages of a message that has reached somebody, or may have."""


class Strand(msgspec.Struct, frozen=True):
    """A stream of any kind: a message, a ledger, or a coupon."""

    message: Message = msgspec.field(default_factory=Message)
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    coupon: Coupon = msgspec.field(default_factory=Coupon)


@dataclass(frozen=True, slots=True)
class Step:
    """What is to happen with a message.

    `slot` is asked of the stream `ledger`; `claim` is the id of the address in its run. `beside`
    are messages of the same occasion to records that were merged into this one, `coupons` the
    codes that it says.
    """

    command: MessageCommand
    ledger: str | None = None
    slot: LedgerCommand | None = None
    claim: str | None = None
    beside: Sequence[str] = ()
    coupons: Sequence[IssueCoupon] = ()


def address_claim(campaign: str, occurrence: str, contact: str) -> str:
    """The id of an address in a run of a broadcast: it gets one message."""
    return f"addressed|{campaign}|{occurrence}|{contact}"


def decide(
    step: Step, states: Mapping[str, Strand], claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    """The events of the message, the ledger and what goes instead; none where the slot is gone.

    Raises `Refused` for an address that has got the message of another customer.
    """
    stream = message_stream(step.command.message)
    events = MESSAGE.decide(step.command, states[stream].message)
    held = claims.get(step.claim or "")
    if not events:
        return {}
    if held is not None and held.owner != step.command.message:
        raise Refused(ADDRESSED, 409, "The address has got this broadcast.")
    replaced, issued = _replaced(step, states), _issued(step, states, claims)
    if replaced is None or issued is None:
        return {}
    replaced = {**replaced, **issued}
    if step.slot is None or step.ledger is None:
        return {stream: events, **replaced}
    ledger = states[step.ledger].ledger
    slots = ledgers.decide(step.slot, ledger)
    match step.slot:
        case TakeSlot(slot=slot):
            if not slots and (slot.message, slot.channel) not in ledger.slots:
                return {}
        case ReturnSlot():
            pass
    return {stream: events, step.ledger: slots, **replaced}


def _replaced(step: Step, states: Mapping[str, Strand]) -> Mapping[str, Sequence[NewEvent]] | None:
    """What becomes of those beside, none of which has begun; None where one has by now."""
    given = {}
    for message in step.beside:
        stream = message_stream(message)
        stage = states[stream].message.stage
        if stage in MAY_BE_TOLD:
            return None
        if stage is Stage.SCHEDULED:
            merged = Suppress(message=message, at=step.command.at, reason="merged")
            given[stream] = MESSAGE.decide(merged, states[stream].message)
    return given


def _issued(
    step: Step, states: Mapping[str, Strand], claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]] | None:
    """What is written of the codes that the message says; None where it has another by now."""
    coupons = {each.stream: states[each.stream].coupon for each in step.coupons}
    return issued_beside(step.coupons, coupons, claims)


def claim_ids(step: Step, _states: Mapping[str, Strand]) -> Sequence[str]:
    """The values that the step touches."""
    return (*(() if step.claim is None else (step.claim,)), *kept_ids(step.coupons))


def changes(
    step: Step, _events: Mapping[str, Sequence[NewEvent]], claims: Mapping[str, Claim]
) -> Sequence[ClaimChange]:
    """What changes of the claims with the events."""
    kept = kept_changes(step.coupons, claims)
    if step.claim is None or step.claim in claims:
        return kept
    return (ClaimChange(step.claim, 0, step.command.message), *kept)


def _evolve(state: Strand, data: EventData) -> Strand:
    if isinstance(data, SlotTaken | SlotReturned):
        return replace(state, ledger=ledgers.evolve(state.ledger, data))
    if data.type.startswith("coupon."):
        return replace(state, coupon=COUPON.evolve(state.coupon, data))
    return replace(state, message=MESSAGE.evolve(state.message, data))


def _undecided(_command: object, _state: Strand) -> Sequence[NewEvent]:
    return ()


STRAND: Decider[object, Strand] = Decider(Strand, _undecided, _evolve)
"""Folds a stream; what happens is decided over both of them by `decide`."""
