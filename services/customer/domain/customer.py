"""What may happen to a customer, and what follows from it.

A customer is found by identifiers, each of which at most one living customer owns: the claims
that the decision sees are those that the append will hold to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from shared.claims import ClaimPolicy
from shared.decider import Decider, NewEvent, Refused, not_found
from shared.events.contract import EventData
from shared.events.customer import (
    Channel,
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    Identifier,
    IdentifierAdded,
    IdentifierKind,
    IdentifierRemoved,
)
from shared.eventstore import Claim, ClaimChange
from shared.identifiers import KnownIdentifier, claim_id

MAX_IDENTIFIERS = 50


@dataclass(frozen=True, slots=True)
class Customer:
    """What decisions need to know: whether there is one, how it is found, what it agreed to."""

    registered: bool = False
    identifiers: Mapping[str, Identifier] = field(default_factory=dict)
    consents: frozenset[tuple[str, Channel]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerCommand:
    """A command on one customer, with its time and the claims on the values that it touches."""

    customer: str
    at: datetime
    claims: Mapping[str, Claim] = field(default_factory=dict)

    @property
    def claim_ids(self) -> Sequence[str]:
        """The claims that must be known to decide."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(CustomerCommand):
    """Make a customer known; `person` carries the record without identifiers."""

    person: CustomerRegistered
    identifiers: tuple[KnownIdentifier, ...] = ()
    consents: tuple[ConsentGiven, ...] = ()

    @property
    def claim_ids(self) -> Sequence[str]:
        """One per identifier."""
        return [identifier.claim_id for identifier in self.identifiers]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddIdentifier(CustomerCommand):
    """Let the customer be found by one more value."""

    identifier: KnownIdentifier

    @property
    def claim_ids(self) -> Sequence[str]:
        """Its own."""
        return [self.identifier.claim_id]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveIdentifier(CustomerCommand):
    """Let the customer be found by a value no longer."""

    kind: IdentifierKind
    hash: str

    @property
    def claim_ids(self) -> Sequence[str]:
        """Its own."""
        return [claim_id(self.kind, self.hash)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveConsent(CustomerCommand):
    """Record that the customer agreed."""

    consent: ConsentGiven


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawConsent(CustomerCommand):
    """Record that the customer agrees no longer."""

    withdrawn: ConsentWithdrawn


Command = Register | AddIdentifier | RemoveIdentifier | GiveConsent | WithdrawConsent


def stream_of(customer: str) -> str:
    """The stream of a customer."""
    return f"customer-{customer}"


def decide(command: Command, state: Customer) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, Register):
        return _register(command, state)
    if not state.registered:
        kind = "customer"
        raise not_found(kind, command.customer)
    match command:
        case AddIdentifier():
            return _add(command, state)
        case RemoveIdentifier():
            return _remove(command, state)
        case GiveConsent(consent=consent):
            return [NewEvent(consent, command.at)]
        case WithdrawConsent(withdrawn=withdrawn):
            # Unknown counts as not given, and a withdrawal is evidence all the same.
            return [NewEvent(withdrawn, command.at)]
        case _:
            assert_never(command)


def _register(command: Register, state: Customer) -> Sequence[NewEvent]:
    if state.registered:
        raise Refused("already-registered", 409, "The customer is registered already.")
    identifiers = tuple(_claimed(command, known) for known in command.identifiers)
    registered = command.person.model_copy(update={"identifiers": identifiers})
    branch = registered.home_branch
    return [
        NewEvent(registered, command.at, branch),
        *(NewEvent(consent, command.at, branch) for consent in command.consents),
    ]


def _add(command: AddIdentifier, state: Customer) -> Sequence[NewEvent]:
    if command.identifier.claim_id in state.identifiers:
        return []
    if len(state.identifiers) == MAX_IDENTIFIERS:
        raise Refused(
            "too-many-identifiers",
            422,
            "The customer has too many identifiers.",
            f"at most {MAX_IDENTIFIERS}; remove one first",
        )
    added = IdentifierAdded(identifier=_claimed(command, command.identifier))
    return [NewEvent(added, command.at)]


def _remove(command: RemoveIdentifier, state: Customer) -> Sequence[NewEvent]:
    known = state.identifiers.get(claim_id(command.kind, command.hash))
    if known is None:
        return []
    removed = IdentifierRemoved(kind=known.kind, hash=known.hash, epoch=known.epoch)
    return [NewEvent(removed, command.at)]


def _claimed(command: Command, known: KnownIdentifier) -> Identifier:
    """The identifier at its next epoch. Raises `Refused` when another customer owns it."""
    claim = command.claims.get(known.claim_id)
    if claim is not None and claim.owner not in (None, command.customer):
        raise Refused(
            "identifier-taken",
            409,
            "Another customer has this identifier.",
            f"the {known.kind} belongs to another customer",
            extra={"owner": claim.owner or ""},
        )
    epoch = 1 if claim is None else claim.epoch + 1
    return Identifier(kind=known.kind, hash=known.hash, epoch=epoch, value=known.value)


def evolve(state: Customer, data: EventData) -> Customer:
    """The customer after an event."""
    match data:
        case CustomerRegistered(identifiers=identifiers):
            return replace(
                state,
                registered=True,
                identifiers={claim_id(each.kind, each.hash): each for each in identifiers},
            )
        case IdentifierAdded(identifier=identifier):
            key = claim_id(identifier.kind, identifier.hash)
            return replace(state, identifiers={**state.identifiers, key: identifier})
        case IdentifierRemoved(kind=kind, hash=value_hash):
            gone = claim_id(kind, value_hash)
            kept = {key: each for key, each in state.identifiers.items() if key != gone}
            return replace(state, identifiers=kept)
        case ConsentGiven(topic=topic, channel=channel):
            return replace(state, consents=state.consents | {(topic, channel)})
        case ConsentWithdrawn(topic=topic, channel=channel):
            return replace(state, consents=state.consents - {(topic, channel)})
        case _:
            message = f"a customer has no event {data.type}"
            raise TypeError(message)


CUSTOMER: Decider[Command, Customer] = Decider(Customer, decide, evolve)


def _changes(command: Command, events: Sequence[NewEvent]) -> Sequence[ClaimChange]:
    changes = []
    for event in events:
        match event.data:
            case CustomerRegistered(identifiers=identifiers):
                changes += [_take(command, each) for each in identifiers]
            case IdentifierAdded(identifier=identifier):
                changes.append(_take(command, identifier))
            case IdentifierRemoved(kind=kind, hash=value_hash):
                held = command.claims[claim_id(kind, value_hash)]
                changes.append(ClaimChange(held.id, held.epoch, None))
    return changes


def _take(command: Command, identifier: Identifier) -> ClaimChange:
    key = claim_id(identifier.kind, identifier.hash)
    return ClaimChange(key, identifier.epoch - 1, command.customer)


CLAIMS: ClaimPolicy[Command] = ClaimPolicy(
    ids=lambda command: command.claim_ids,
    given=lambda command, claims: replace(command, claims=claims),
    changes=_changes,
)
