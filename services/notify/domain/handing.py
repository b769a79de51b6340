"""A step of a message together with what must be written with it: the customer's ledger of caps.

`sending` and its slot are one transaction, and a hand-over that certainly reached nobody gives the
slot back in the same one. Of two customers with one address a broadcast takes the first: the
address is a claim of the run, which changes with the message that gets it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.notify.domain import ledger as ledgers
from services.notify.domain.ledger import Ledger, LedgerCommand, ReturnSlot, TakeSlot
from services.notify.domain.message import MESSAGE, Message, MessageCommand, message_stream
from shared.decider import Decider, NewEvent, Refused
from shared.events.contract import EventData
from shared.events.sending import SlotReturned, SlotTaken
from shared.eventstore import Claim, ClaimChange

ADDRESSED = "addressed"
"""The type of the refusal of a second message to one address."""


@dataclass(frozen=True, slots=True)
class Strand:
    """A stream of either kind: a message, or a ledger."""

    message: Message = field(default_factory=Message)
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(frozen=True, slots=True)
class Step:
    """What is to happen with a message.

    `slot` is asked of the stream `ledger`; `claim` is the id of the address in its run.
    """

    command: MessageCommand
    ledger: str | None = None
    slot: LedgerCommand | None = None
    claim: str | None = None


def address_claim(campaign: str, occurrence: str, contact: str) -> str:
    """The id of an address in a run of a broadcast: it gets one message."""
    return f"addressed|{campaign}|{occurrence}|{contact}"


def decide(
    step: Step, states: Mapping[str, Strand], claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    """The events of the message and of the ledger; none where the slot is gone.

    Raises `Refused` for an address that has got the message of another customer.
    """
    stream = message_stream(step.command.message)
    events = MESSAGE.decide(step.command, states[stream].message)
    held = claims.get(step.claim or "")
    if not events:
        return {}
    if held is not None and held.owner != step.command.message:
        raise Refused(ADDRESSED, 409, "The address has got this broadcast.")
    if step.slot is None or step.ledger is None:
        return {stream: events}
    ledger = states[step.ledger].ledger
    slots = ledgers.decide(step.slot, ledger)
    match step.slot:
        case TakeSlot(slot=slot):
            if not slots and (slot.message, slot.channel) not in ledger.slots:
                return {}
        case ReturnSlot():
            pass
    return {stream: events, step.ledger: slots}


def claim_ids(step: Step, _states: Mapping[str, Strand]) -> Sequence[str]:
    """The values that the step touches."""
    return () if step.claim is None else (step.claim,)


def changes(
    step: Step, _events: Mapping[str, Sequence[NewEvent]], claims: Mapping[str, Claim]
) -> Sequence[ClaimChange]:
    """What changes of the claims with the events."""
    if step.claim is None or step.claim in claims:
        return ()
    return (ClaimChange(step.claim, 0, step.command.message),)


def _evolve(state: Strand, data: EventData) -> Strand:
    if isinstance(data, SlotTaken | SlotReturned):
        return Strand(state.message, ledgers.evolve(state.ledger, data))
    return Strand(MESSAGE.evolve(state.message, data), state.ledger)


def _undecided(_command: object, _state: Strand) -> Sequence[NewEvent]:
    return ()


STRAND: Decider[object, Strand] = Decider(Strand, _undecided, _evolve)
"""Folds a stream; what happens is decided over both of them by `decide`."""
