"""What a form promises is given once per person: per customer, and per address that proved it.

The stream is of one form and one customer, so of two who are given it at once one is; the claim on
the address holds where the same person became another customer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.claims import ClaimPolicy
from shared.decider import Decider, NewEvent
from shared.events.contract import EventData
from shared.events.forms import FormPromiseGiven
from shared.eventstore import Claim, ClaimChange
from shared.identifiers import claim_id
from shared.ids import derived_id


@dataclass(frozen=True, slots=True)
class Promise:
    """Give what the form promises to a customer, known by an address (its hash)."""

    form: str
    coupon: str
    customer: str
    address: str
    at: datetime
    claims: Mapping[str, Claim] = field(default_factory=dict)

    @property
    def claim(self) -> str:
        """The claim on the address, for this form alone."""
        return claim_id(f"promise-{self.form}", self.address)

    def is_of_form(self, claim: str) -> bool:
        """Whether a claim is one on this form's gift, by whatever address."""
        return claim.startswith(claim_id(f"promise-{self.form}", ""))


def promise_stream(form: str, customer: str) -> str:
    """The stream of one form's promise to one customer."""
    return f"promise-{derived_id('promise', form, customer)}"


def decide(command: Promise, given: bool) -> Sequence[NewEvent]:  # noqa: FBT001 - the whole state is one yes or no
    """The gift, unless this person has it already."""
    claim = command.claims.get(command.claim)
    if given or (claim is not None and claim.owner is not None):
        return []
    return [NewEvent(FormPromiseGiven(form=command.form, coupon=command.coupon), command.at)]


def evolve(_given: bool, data: EventData) -> bool:  # noqa: FBT001 - the whole state is one yes or no
    """Given, after the one event that there is."""
    return isinstance(data, FormPromiseGiven)


def _changes(command: Promise, events: Sequence[NewEvent]) -> Sequence[ClaimChange]:
    before = command.claims.get(command.claim)
    epoch = 0 if before is None else before.epoch
    return [ClaimChange(command.claim, epoch, command.customer) for _ in events]


PROMISE: Decider[Promise, bool] = Decider(lambda: False, decide, evolve)
PROMISE_CLAIMS: ClaimPolicy[Promise] = ClaimPolicy(
    ids=lambda command: [command.claim],
    given=lambda command, claims: replace(command, claims=claims),
    changes=_changes,
)
