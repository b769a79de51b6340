"""Several commands on one customer as one: all of them are recorded, or none, under one id.

A row of a file says many things of one person. Each part is decided on what the parts before it
gave, so that a row is refused as a whole and undone as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from services.customer.domain.commands import Command, CustomerCommand
from services.customer.domain.customer import CUSTOMER, decide
from services.customer.domain.identifying import CLAIMS
from services.customer.domain.state import Customer, evolve
from shared.claims import ClaimPolicy
from shared.decider import Decider, NewEvent
from shared.eventstore import ClaimChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined(CustomerCommand):
    """The parts, in the order in which they are decided; customer and claims are the whole's."""

    parts: tuple[Command, ...]

    @property
    def claim_ids(self) -> Sequence[str]:
        """Those of all parts, each once."""
        return list(dict.fromkeys(claim for part in self.parts for claim in part.claim_ids))


AnyCommand = Command | Combined


def decide_any(command: AnyCommand, state: Customer) -> Sequence[NewEvent]:
    """The events of a command, or of all parts of one. Raises the refusal of any."""
    if not isinstance(command, Combined):
        return decide(command, state)
    events: list[NewEvent] = []
    for part in command.parts:
        whole = replace(part, customer=command.customer, claims=command.claims)
        given = decide(whole, state)
        state = CUSTOMER.fold((event.data for event in given), state)
        events += given
    return events


def _changes(command: AnyCommand, events: Sequence[NewEvent]) -> Sequence[ClaimChange]:
    # What changes follows from customer, claims and events, which every command has.
    return CLAIMS.changes(cast("Command", command), events)


COMBINED: Decider[AnyCommand, Customer] = Decider(Customer, decide_any, evolve)
COMBINED_CLAIMS: ClaimPolicy[AnyCommand] = ClaimPolicy(
    ids=lambda command: command.claim_ids,
    given=lambda command, claims: replace(command, claims=claims),
    changes=_changes,
)
