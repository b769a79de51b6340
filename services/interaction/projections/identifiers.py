"""Who an identifier finds: one document per customer; a query makes the owner of an identifier."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from shared.events.customer import CustomerRegistered, IdentifierAdded, IdentifierRemoved
from shared.events.merging import (
    CustomerAbsorbed,
    CustomerErased,
    CustomerMerged,
    MergeReverted,
)
from shared.identifiers import claim_id
from shared.projection import Document, Event, Projection


class Entry(msgspec.Struct, gc=False):
    """One way to find the customer: `<kind>|<hash>`, and the epoch at which it was claimed."""

    id: str
    epoch: int


class Identifiers(Document, kw_only=True):
    """What finds a customer, the customer's own id among it.

    Two customers may have the same entry for a while, since their partitions are read apart: the
    higher epoch counts, whatever came first. `merged` names the survivor while there is one: facts
    of this customer are that one's. Who was erased is found by nothing, and `removed`.
    """

    entries: list[Entry]
    merged: str | None = None


class Claimed(msgspec.Struct, gc=False):
    """What is read of an identifier."""

    kind: str
    hash: str
    epoch: int
    shared: bool | None = None


class Registered(msgspec.Struct):
    """What is read of `customer.registered`."""

    identifiers: list[Claimed] = msgspec.field(default_factory=list)


class Added(msgspec.Struct):
    """What is read of `customer.identifier_added`."""

    identifier: Claimed


class Removed(msgspec.Struct, gc=False):
    """What is read of `customer.identifier_removed`, and of what a revert releases."""

    kind: str
    hash: str


class Merged(msgspec.Struct):
    """What is read of `customer.merged`."""

    survivor: str


class Absorbed(msgspec.Struct):
    """What is read of `customer.absorbed`."""

    identifiers: list[Claimed] = msgspec.field(default_factory=list)


class Reverted(msgspec.Struct):
    """What is read of `customer.merge_reverted`."""

    role: str
    released: list[Removed] = msgspec.field(default_factory=list)
    identifiers: list[Claimed] = msgspec.field(default_factory=list)


class Erased(msgspec.Struct):
    """What is read of `customer.erased`."""


def own_id(customer: str) -> str:
    """The entry by which a customer is found by its own id."""
    return claim_id("customer", customer)


def _subject(event: Event) -> str | None:
    return event.light.subject


def apply_identifier(found: Identifiers | None, event: Event) -> Identifiers:
    """What finds the customer after an event; who was erased stays so."""
    data = event.data
    customer = event.light.subject or ""
    if isinstance(data, Registered):
        return Identifiers(id=customer, entries=_whole(customer, data.identifiers))
    if found is None:
        message = "the first event of a customer is its registration"
        raise ValueError(message)
    if found.removed:
        return found
    match data:
        case Added(identifier=claimed):
            _replace(found, [claimed], [claimed])
        case Removed() as claimed:
            _replace(found, [claimed], [])
        case _:
            _merge(found, data)
    return found


def _merge(found: Identifiers, data: object) -> None:
    match data:
        case Absorbed(identifiers=brought):
            _replace(found, brought, brought)
        case Merged(survivor=survivor):
            found.entries, found.merged = _whole(found.id, []), survivor
        case Reverted(role="loser", identifiers=back):
            found.entries, found.merged = _whole(found.id, back), None
        case Reverted(released=released, identifiers=back):
            _replace(found, released, back)
        case Erased():
            found.entries, found.merged, found.removed = [], None, True


def _whole(customer: str, identifiers: Iterable[Claimed]) -> list[Entry]:
    return [Entry(own_id(customer), 1), *_owned(identifiers)]


def _owned(identifiers: Iterable[Claimed]) -> list[Entry]:
    """The entries of those that belong to one customer alone: a family's phone finds nobody."""
    return [_entry(each) for each in identifiers if not each.shared]


def _replace(found: Identifiers, old: Iterable[Claimed | Removed], new: Iterable[Claimed]) -> None:
    gone = {claim_id(each.kind, each.hash) for each in old}
    kept = [entry for entry in found.entries if entry.id not in gone]
    found.entries = [*kept, *_owned(new)]


def owners_of(found: Iterable[Identifiers], wanted: Collection[str]) -> Mapping[str, str]:
    """The owner of each entry that is wanted and has one: the customer of its highest epoch."""
    best: dict[str, tuple[int, str]] = {}
    for customer in found:
        for entry in customer.entries:
            if entry.id in wanted:
                claim = (entry.epoch, customer.id)
                best[entry.id] = max(claim, best.get(entry.id, claim))
    return {entry: customer for entry, (_, customer) in best.items()}


def lives_on(customer: str, survivors: Mapping[str, str]) -> str | None:
    """Who the customer is now; `survivors` holds the survivor of each one who was merged.

    None where they go round in a circle, which merges never do; partitions that are read apart may
    show it for a moment.
    """
    seen: set[str] = set()
    while customer in survivors:
        if customer in seen:
            return None
        seen.add(customer)
        customer = survivors[customer]
    return customer


def _entry(claimed: Claimed) -> Entry:
    return Entry(claim_id(claimed.kind, claimed.hash), claimed.epoch)


IDENTIFIERS: Projection[Identifiers] = Projection(
    name="identifiers_v2",
    topics=("customer.events.v1",),
    reads={
        CustomerRegistered.type: Registered,
        IdentifierAdded.type: Added,
        IdentifierRemoved.type: Removed,
        CustomerMerged.type: Merged,
        CustomerAbsorbed.type: Absorbed,
        MergeReverted.type: Reverted,
        CustomerErased.type: Erased,
    },
    document=Identifiers,
    target=_subject,
    apply=apply_identifier,
    indexes=((("entries.id", 1),), (("merged", 1),)),
)
