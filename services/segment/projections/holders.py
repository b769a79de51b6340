"""Who an identifier finds: one document per customer; a query makes the owner of an identifier."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from shared.events import topic_of
from shared.events.customer import CustomerRegistered, IdentifierAdded, IdentifierRemoved
from shared.events.merging import CustomerAbsorbed, CustomerErased, CustomerMerged, MergeReverted
from shared.identifiers import claim_id
from shared.projection import Document, Event, Projection


class Claim(msgspec.Struct, gc=False):
    """`<kind>|<hash>`, and the epoch at which the customer came to have it."""

    id: str
    epoch: int


class Holder(Document, kw_only=True):
    """What finds a customer; nothing finds who was merged, or erased.

    Two customers may have the same claim for a while, since their partitions are read apart: the
    higher epoch counts, whatever came first.
    """

    claims: list[Claim]


class Told(msgspec.Struct, gc=False):
    """What is read of an identifier; an epoch where it is claimed."""

    kind: str
    hash: str
    epoch: int = 0
    shared: bool | None = None


class Brought(msgspec.Struct):
    """What is read of `customer.registered` and of `customer.absorbed`."""

    identifiers: list[Told] = msgspec.field(default_factory=list)


class Added(msgspec.Struct):
    """What is read of `customer.identifier_added`."""

    identifier: Told


class Reverted(msgspec.Struct):
    """What is read of `customer.merge_reverted`."""

    role: str
    released: list[Told] = msgspec.field(default_factory=list)
    identifiers: list[Told] = msgspec.field(default_factory=list)


class Gone(msgspec.Struct):
    """What is read of `customer.merged` and of `customer.erased`."""


def _subject(event: Event) -> str | None:
    return event.light.subject


def _remember(held: Holder | None, event: Event) -> Holder:
    """What finds the customer after an event; who was erased stays so."""
    found = held or Holder(id=event.light.subject or "", claims=[])
    if found.removed:
        return found
    match event.data:
        case Brought(identifiers=told):
            _replace(found, told, told)
        case Added(identifier=told):
            _replace(found, [told], [told])
        case Told() as told:
            _replace(found, [told], [])
        case Reverted(role="loser", identifiers=told):
            found.claims = _claims(told)
        case Reverted(released=released, identifiers=told):
            _replace(found, released, told)
        case _:
            found.claims = []
            found.removed = event.light.type == CustomerErased.type
    return found


def _replace(found: Holder, old: Iterable[Told], new: Iterable[Told]) -> None:
    gone = {claim_id(each.kind, each.hash) for each in old}
    found.claims = [*(claim for claim in found.claims if claim.id not in gone), *_claims(new)]


def _claims(told: Iterable[Told]) -> list[Claim]:
    """Those that belong to one customer alone: a family's phone finds nobody."""
    return [Claim(claim_id(each.kind, each.hash), each.epoch) for each in told if not each.shared]


def owners_of(found: Iterable[Holder], wanted: Collection[str]) -> Mapping[str, str]:
    """The owner of each claim that is wanted and has one: the customer of its highest epoch."""
    best: dict[str, tuple[int, str]] = {}
    for holder in found:
        for claim in holder.claims:
            if claim.id in wanted:
                here = (claim.epoch, holder.id)
                best[claim.id] = max(here, best.get(claim.id, here))
    return {claim: customer for claim, (_, customer) in best.items()}


HOLDERS: Projection[Holder] = Projection(
    name="holders_v1",
    topics=(topic_of(CustomerRegistered.type, "customer"),),
    reads={
        CustomerRegistered.type: Brought,
        CustomerAbsorbed.type: Brought,
        IdentifierAdded.type: Added,
        IdentifierRemoved.type: Told,
        MergeReverted.type: Reverted,
        CustomerMerged.type: Gone,
        CustomerErased.type: Gone,
    },
    document=Holder,
    target=_subject,
    apply=_remember,
    indexes=((("claims.id", 1),),),
)
