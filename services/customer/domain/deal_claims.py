"""What of the chain's fairness changes with a deal: turns, and numbers of open deals.

These values are claims, so that they change in the transaction of the deal's commit and of two
that rest on the same value one is decided again (docs/decisions tells why they are no stream).
"""

from collections.abc import Sequence
from dataclasses import replace

from services.customer.domain.assignment import Loads, load_id, load_of
from services.customer.domain.dealing import Command, Open, WithResponsible
from shared.claims import ClaimPolicy
from shared.decider import NewEvent
from shared.events.deal import (
    DealLost,
    DealOpened,
    DealReopened,
    DealResponsibleAssigned,
    DealWon,
)
from shared.eventstore import ClaimChange


def _claim_ids(command: Command) -> Sequence[str]:
    among = command.candidates if isinstance(command, Open) else None
    if among is not None:
        return among.claim_ids
    return [load_id(each) for each in command.employees]


def _claim_changes(command: Command, events: Sequence[NewEvent]) -> Sequence[ClaimChange]:
    loads, changes = Loads(), []
    for event in events:
        match event.data:
            case DealOpened(responsible=responsible, rule=rule):
                loads.take(responsible)
                among = command.candidates if isinstance(command, Open) else None
                if rule is not None and among is not None and among.takes_turns:
                    changes.append(_changed_claim(command, among.turn_id, responsible))
            case DealReopened():
                loads.take(_seen(command))
            case DealWon() | DealLost():
                loads.give_back(_seen(command))
            case DealResponsibleAssigned(before=before, responsible=responsible):
                loads.give_back(before)
                loads.take(responsible)
    for employee, change in sorted(loads.changes.items()):
        number = load_of(employee, command.claims) + change
        changes.append(_changed_claim(command, load_id(employee), str(number)))
    return changes


def _seen(command: Command) -> str | None:
    return command.seen if isinstance(command, WithResponsible) else None


def _changed_claim(command: Command, claim_id: str, value: str | None) -> ClaimChange:
    held = command.claims.get(claim_id)
    return ClaimChange(claim_id, 0 if held is None else held.epoch, value)


DEAL_CLAIMS: ClaimPolicy[Command] = ClaimPolicy(
    ids=_claim_ids,
    given=lambda command, claims: replace(command, claims=claims),
    changes=_claim_changes,
)
