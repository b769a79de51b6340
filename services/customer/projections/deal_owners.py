"""Whose deals are to go on with somebody else: what merges and their reverts leave to be moved.

A document holds the deals of one customer, and what became of the customer. Both topics have the
customer's id for key, and the answer does not depend on which of them is read first: a deal that is
opened with a customer who was merged already is found as one that was there before.

A revert takes back the deals that its merge brought, and no other: each deal carries the merges
that brought it, the latest last, and reverts come in that order.
"""

from collections.abc import Iterator

import msgspec

from shared.events import topic_of
from shared.events.deal import DealContinued, DealOpened, DealTransferred
from shared.events.merging import CustomerErased, CustomerMerged, MergeReverted
from shared.projection import Document, Event, Projection


class Origin(msgspec.Struct, frozen=True, gc=False):
    """A merge that brought a deal, and whose it had been."""

    merge: str
    customer: str


class Held(msgspec.Struct, frozen=True, gc=False):
    """A deal that is here, with the merges that brought it."""

    deal: str
    origins: list[Origin]


class Cause(msgspec.Struct, frozen=True, gc=False):
    """The event of a merge or revert, and the chain of causes it is in."""

    event: str
    correlation: str
    depth: int


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """A move that is due: the stream that ends, who gets the deal, and why."""

    stream: str
    deal: str
    customer: str
    merge: str
    origins: list[Origin]
    cause: Cause


class DealOwner(Document, kw_only=True, omit_defaults=True):
    """The deals of a customer; by stream. `pending`: some of them are to go on elsewhere.

    Whoever was `erased` has lost the whole tree of merges, so there is nobody to move deals to.
    """

    pending: bool
    held: dict[str, Held] = msgspec.field(default_factory=dict)
    survivor: str | None = None
    merge: str | None = None
    merged: Cause | None = None
    reverted: dict[str, Cause] = msgspec.field(default_factory=dict)
    erased: bool = False

    def wanted(self) -> Iterator[Wanted]:
        """The moves that are due."""
        if self.erased:
            return
        for stream, held in sorted(self.held.items()):
            last = held.origins[-1] if held.origins else None
            if last is not None and last.merge in self.reverted:
                yield Wanted(
                    stream,
                    held.deal,
                    last.customer,
                    last.merge,
                    held.origins[:-1],
                    self.reverted[last.merge],
                )
            elif self.survivor is not None and self.merge is not None and self.merged is not None:
                origins = [*held.origins, Origin(self.merge, self.id)]
                yield Wanted(stream, held.deal, self.survivor, self.merge, origins, self.merged)


class Opened(msgspec.Struct, frozen=True, gc=False):
    """Of `deal.opened`."""

    deal: str


class Continued(msgspec.Struct, frozen=True, gc=False):
    """Of `deal.continued`."""

    deal: str
    origins: list[Origin]


class Transferred(msgspec.Struct, frozen=True, gc=False):
    """Of `deal.transferred`."""

    deal: str


class Merged(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.merged`."""

    merge: str
    survivor: str


class Reverted(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.merge_reverted`."""

    merge: str
    role: str


class Erased(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.erased`."""

    erase: str


def _target(event: Event) -> str | None:
    """The customer; a company is never merged."""
    return event.light.subject


def apply(owner: DealOwner | None, event: Event) -> DealOwner:
    """What is known of a customer's deals after an event."""
    data, light = event.data, event.light
    if owner is None:
        owner = DealOwner(id=light.subject or "", pending=False)
    cause = Cause(light.id, light.correlationid, light.causedepth + 1)
    match data:
        case Opened(deal=deal):
            owner.held[light.stream] = Held(deal, [])
        case Continued(deal=deal, origins=origins):
            owner.held[light.stream] = Held(deal, origins)
        case Transferred():
            owner.held.pop(light.stream, None)
        case Merged(merge=merge, survivor=survivor):
            owner.survivor, owner.merge, owner.merged = survivor, merge, cause
        case Reverted(merge=merge, role="survivor"):
            owner.reverted[merge] = cause
        case Reverted(merge=merge) if merge == owner.merge:
            owner.survivor = owner.merge = owner.merged = None
        case Erased():
            owner.erased = True
    owner.pending = next(owner.wanted(), None) is not None
    return owner


DEAL_OWNERS: Projection[DealOwner] = Projection(
    name="deal_owners_v1",
    topics=(
        topic_of(DealOpened.type, "customer"),
        topic_of(CustomerMerged.type, "customer"),
    ),
    reads={
        DealOpened.type: Opened,
        DealContinued.type: Continued,
        DealTransferred.type: Transferred,
        CustomerMerged.type: Merged,
        MergeReverted.type: Reverted,
        CustomerErased.type: Erased,
    },
    document=DealOwner,
    target=_target,
    apply=apply,
    indexes=((("pending", 1),),),
)
