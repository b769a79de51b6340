"""Forgetting a person: every customer of the merge tree at once, and what finds them.

Erased is final. The tree is looked up before, and decided on as it then is: whoever joins or
leaves it meanwhile makes the decision fail, and the tree is looked up again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.customer.domain.state import Customer, stream_of
from shared.decider import Decider, NewEvent, Refused
from shared.events.contract import EventData
from shared.events.merging import CustomerErased, EraseRequested
from shared.eventstore import Claim, ClaimChange

CHANGED = "changed-meanwhile"
"""Type of the refusal where there is more to erase than was looked up."""


@dataclass(frozen=True, slots=True)
class Erase:
    """Forget the customers, whose files (`files`: their ids) are gone already."""

    request: EraseRequested
    at: datetime
    files: frozenset[str] = frozenset()
    held: tuple[str, ...] = ()


Given = Mapping[str, Sequence[NewEvent]]
States = Mapping[str, Customer]
Claims = Mapping[str, Claim]


def files_of(state: Customer) -> frozenset[str]:
    """The files in which the content of a customer's documents is kept."""
    return frozenset(each.file for each in state.documents.values())


def decide_erase(command: Erase, states: States, claims: Claims) -> Given:
    """One event for each customer of the tree; none when all were erased before."""
    if all(state.erased or not state.registered for state in states.values()):
        return {}
    for state in states.values():
        unknown = {stream_of(other) for other in state.relatives} - states.keys()
        if unknown or files_of(state) - command.files or _unseen(state, claims):
            raise Refused(CHANGED, 409, "The customer has changed meanwhile.", "try again")
    data = CustomerErased(
        erase=command.request.erase, reason=command.request.reason, by=command.request.by
    )
    return {stream: [NewEvent(data, command.at)] for stream in states}


def _unseen(state: Customer, claims: Claims) -> bool:
    return state.merged is None and any(
        key not in claims for key, each in state.identifiers.items() if not each.shared
    )


def claims_of_tree(command: Erase, states: States) -> Sequence[str]:
    """All that the customers hold."""
    identifiers = [
        key
        for state in states.values()
        for key, each in state.identifiers.items()
        if not each.shared
    ]
    return [*command.held, *identifiers]


def erase_changes(command: Erase, events: Given, claims: Claims) -> Sequence[ClaimChange]:
    """What they hold is free again."""
    del command
    owners = {stream.removeprefix(stream_of("")) for stream in events}
    return [
        ClaimChange(claim.id, claim.epoch, None)
        for claim in claims.values()
        if claim.owner in owners
    ]


def stream_of_erase(erase: str) -> str:
    """The stream that keeps the wish."""
    return f"erase-{erase}"


@dataclass(frozen=True, slots=True)
class RequestErase:
    """Wish that a customer be forgotten."""

    request: EraseRequested
    at: datetime


def _request(command: RequestErase, state: EraseRequested | None) -> Sequence[NewEvent]:
    return [] if state is not None else [NewEvent(command.request, command.at)]


def _requested(_state: EraseRequested | None, data: EventData) -> EraseRequested | None:
    return data if isinstance(data, EraseRequested) else None


WISH: Decider[RequestErase, EraseRequested | None] = Decider(lambda: None, _request, _requested)
