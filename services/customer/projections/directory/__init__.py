"""The `directory`: the list of customers, and what a person at the till looks one up in."""

from services.customer.projections.directory import reading
from services.customer.projections.directory.entry import BranchTotals, DirectoryEntry
from services.customer.projections.directory.folding import apply, blank
from services.customer.projections.directory.keys import COLUMNS, SLOTS
from services.customer.projections.directory.purchases import FACTS
from services.customer.projections.directory.reading import Contact, Grant
from shared.events import care, customer, merging
from shared.events.segment import SegmentEntered, SegmentExited
from shared.moves import MOVES
from shared.projection import Event, Projection

__all__ = ["DIRECTORY", "BranchTotals", "Contact", "DirectoryEntry", "Grant"]


STREAMS = ("customer-", "interaction-", "membership-")
"""The streams of a customer; tasks and others have their own, more than an entry should count."""


def _target(event: Event) -> str | None:
    return event.light.subject if event.light.stream.startswith(STREAMS) else None


DIRECTORY: Projection[DirectoryEntry] = Projection(
    name="directory_v3",
    topics=("customer.events.v1", "segment.events.v1", "interaction.events.v1"),
    reads={
        customer.CustomerRegistered.type: reading.Registered,
        customer.CustomerChanged.type: reading.Changed,
        customer.IdentifierAdded.type: reading.Added,
        customer.IdentifierChanged.type: reading.PointChanged,
        customer.IdentifierRemoved.type: reading.Removed,
        customer.ConsentGiven.type: reading.Consent,
        customer.ConsentWithdrawn.type: reading.Consent,
        care.CategoriesChanged.type: reading.Categories,
        care.TagsChanged.type: reading.Tags,
        care.DiscountChanged.type: reading.Discount,
        care.StatusChanged.type: reading.Status,
        care.ResponsibleAssigned.type: reading.Responsible,
        care.CustomerBlacklisted.type: reading.Blacklisting,
        care.BlacklistingEnded.type: reading.Blacklisting,
        care.CustomerArchived.type: reading.Shelved,
        care.CustomerRestored.type: reading.Shelved,
        merging.CustomerMerged.type: reading.Merged,
        merging.CustomerAbsorbed.type: reading.Absorbed,
        merging.MergeReverted.type: reading.Reverted,
        merging.CustomerErased.type: reading.Erased,
        SegmentEntered.type: reading.Membership,
        SegmentExited.type: reading.Membership,
        **FACTS,
        **MOVES,
    },
    document=DirectoryEntry,
    target=_target,
    apply=apply,
    opens=True,
    gapless=True,
    blank=blank,
    indexes=(
        (("found_by", 1),),
        (("marks", 1),),
        (("words", 1),),
        (("dice", 1),),
        *((("sort." + name, 1),) for name in COLUMNS),
        *((("slots." + name, 1),) for name in SLOTS),
    ),
)
