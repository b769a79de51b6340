"""How a customer is found: each value belongs to at most one living customer, shared ones to none.

The claims that a decision sees are those that the append will hold to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.customer.domain.commands import (
    AddIdentifier,
    ChangeIdentifier,
    Command,
    NewIdentifier,
    RemoveIdentifier,
)
from services.customer.domain.state import Customer
from shared.claims import ClaimPolicy
from shared.decider import NewEvent, Refused, invalid, not_found
from shared.events.customer import (
    ConsentWithdrawn,
    CustomerRegistered,
    Evidence,
    Identifier,
    IdentifierAdded,
    IdentifierChanged,
    IdentifierRemoved,
)
from shared.eventstore import Claim, ClaimChange
from shared.identifiers import claim_id

MAX_IDENTIFIERS = 50
CHANGED_HANDS = "identifier-removed"
"""Source of withdrawals that follow from a number that is no longer the customer's."""


def claimed(
    claims: Mapping[str, Claim], customer: str, identifiers: Sequence[NewIdentifier]
) -> tuple[Identifier, ...]:
    """The identifiers at their next epochs. Raises `Refused` when another customer owns one.

    Of several preferred ones of a kind the last one is.
    """
    found: list[Identifier] = []
    for new in identifiers:
        kind = new.known.kind
        if new.preferred:
            found = [
                each.model_copy(update={"preferred": None}) if each.kind == kind else each
                for each in found
            ]
        found.append(_claimed(claims, customer, new))
    return tuple(found)


def _claimed(claims: Mapping[str, Claim], customer: str, new: NewIdentifier) -> Identifier:
    known = new.known
    claim = None if new.shared else claims.get(known.claim_id)
    if claim is not None and claim.owner not in (None, customer):
        raise Refused(
            "identifier-taken",
            409,
            "Another customer has this identifier.",
            f"the {known.kind} belongs to another customer",
            extra={"owner": claim.owner or ""},
        )
    return Identifier(
        kind=known.kind,
        hash=known.hash,
        epoch=1 if claim is None else claim.epoch + 1,
        value=known.value,
        state=new.state,
        preferred=new.preferred or None,
        shared=new.shared or None,
        label=new.label,
    )


def add(command: AddIdentifier, state: Customer) -> Sequence[NewEvent]:
    """One more value, or what else is known of one that the customer has."""
    new = command.identifier
    known = state.identifiers.get(new.known.claim_id)
    if known is not None:
        if bool(known.shared) != new.shared:
            raise invalid("shared", "remove the identifier first, then add it as it should be")
        change = ChangeIdentifier(
            customer=command.customer,
            at=command.at,
            kind=known.kind,
            hash=known.hash,
            state=new.state,
            preferred=new.preferred or None,
            label=new.label,
        )
        return change_identifier(change, state)
    if len(state.identifiers) >= MAX_IDENTIFIERS:
        raise Refused(
            "too-many-identifiers",
            422,
            "The customer has too many identifiers.",
            f"at most {MAX_IDENTIFIERS}; remove one first",
        )
    (identifier,) = claimed(command.claims, command.customer, [new])
    return [NewEvent(IdentifierAdded(identifier=identifier), command.at, state.record.home_branch)]


def change_identifier(command: ChangeIdentifier, state: Customer) -> Sequence[NewEvent]:
    """Another state, preference or label; nothing when it is so already."""
    known = state.identifiers.get(claim_id(command.kind, command.hash))
    if known is None:
        raise not_found("identifier", "with this kind and hash")
    update: dict[str, object] = {}
    if command.state is not None and command.state != (known.state or "unverified"):
        update["state"] = command.state
    if command.preferred is not None and command.preferred != bool(known.preferred):
        update["preferred"] = command.preferred
    if command.label is not None and command.label != known.label:
        update["label"] = command.label
    if not update:
        return []
    changed = IdentifierChanged.model_validate({"kind": known.kind, "hash": known.hash, **update})
    return [NewEvent(changed, command.at, state.record.home_branch)]


def remove(command: RemoveIdentifier, state: Customer) -> Sequence[NewEvent]:
    """A value less, and the consents that were bound to it end: the number changes hands."""
    key = claim_id(command.kind, command.hash)
    known = state.identifiers.get(key)
    if known is None:
        return []
    branch = state.record.home_branch
    removed = IdentifierRemoved(kind=known.kind, hash=known.hash, epoch=known.epoch)
    evidence = Evidence(source=CHANGED_HANDS, by=command.by, at=command.at)
    return [
        NewEvent(removed, command.at, branch),
        *(
            NewEvent(
                ConsentWithdrawn(
                    topic=topic, channel=channel, contact=known.hash, evidence=evidence
                ),
                command.at,
                branch,
            )
            for (topic, channel, contact), standing in sorted(
                state.consents.items(), key=lambda item: item[0]
            )
            if contact == known.hash and standing.given
        ),
    ]


def _changes(command: Command, events: Sequence[NewEvent]) -> Sequence[ClaimChange]:
    changes = []
    for event in events:
        match event.data:
            case CustomerRegistered(identifiers=identifiers):
                changes += [_take(command, each) for each in identifiers if not each.shared]
            case IdentifierAdded(identifier=identifier) if not identifier.shared:
                changes.append(_take(command, identifier))
            case IdentifierRemoved(kind=kind, hash=value_hash):
                held = command.claims.get(claim_id(kind, value_hash))
                if held is not None and held.owner == command.customer:
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
