"""Every kind of entry of the timeline, and the types of events that are none.

Each type of the contract stands in exactly one of the lists: a test says so, and a new type fails
it until somebody has found its words.
"""

from collections.abc import Mapping
from types import MappingProxyType

from services.interaction.domain.timeline.customers import CUSTOMERS
from services.interaction.domain.timeline.deals import DEALS
from services.interaction.domain.timeline.desk import POINTS, TASKS
from services.interaction.domain.timeline.facts import FACTS, MOVES, SUSPICIONS
from services.interaction.domain.timeline.kinds import Form, Group, Kept, Kind, Saying, kept_of
from services.interaction.domain.timeline.outreach import OUTREACH
from services.interaction.domain.timeline.words import WORDS
from shared.events import lists, merging, moving, replies, sending, series

KINDS: Mapping[str, Kind] = MappingProxyType(
    {**CUSTOMERS, **DEALS, **FACTS, **MOVES, **SUSPICIONS, **TASKS, **POINTS, **OUTREACH}
)
"""Event type → what its entry keeps, and says."""

NOBODYS_FAMILIES = frozenset(
    {
        "address",
        "automation",
        "branch",
        "campaign",
        "category",
        "company",
        "directory",
        "employee",
        "field",
        "import",
        "pipeline",
        "prediction",
        "product",
        "product_category",
        "series",
        "status",
    }
)
"""Families of types that concern the chain or a company, never one customer."""

NOBODYS = frozenset(
    {
        "coupon.codes_added.v1",
        "coupon.pool_defined.v1",
        "form.archived.v1",
        "form.defined.v1",
        "form.restored.v1",
        "list.archived.v1",
        "list.created.v1",
        "list.renamed.v1",
        "points.rules_defined.v1",
        "segment.archived.v1",
        "segment.cut_points_set.v1",
        "segment.defined.v1",
        "segment.definition_held.v1",
        "segment.definition_released.v1",
        "segment.definition_withdrawn.v1",
        "segment.table_defined.v1",
        "segment.wave_held.v1",
        "segment.wave_released.v1",
        "segment.zone_noted.v1",
        "sending.branch_budgets_defined.v1",
        "sending.branch_continued.v1",
        "sending.branch_counted.v1",
        "sending.budget_continued.v1",
        "sending.budget_counted.v1",
        "sending.policy_defined.v1",
        "sending.senders_defined.v1",
        "task.rules_defined.v1",
    }
)
"""The same of types whose families also have others."""

MACHINERY = frozenset(
    {
        # In the erase's own stream; `customer.erased` says it of each customer.
        merging.EraseRequested.type,
        # Where a stream goes on, and steps of a move: `move_ended` says it once.
        moving.StreamClosed.type,
        moving.StreamReopened.type,
        moving.MoveBegun.type,
        moving.FactsMoved.type,
        # The entry of a fact that never happened goes; there is nothing to tell.
        moving.FactWithdrawn.type,
        # A hand-over and its end say so themselves.
        sending.SlotTaken.type,
        sending.SlotReturned.type,
        # Beside its message, or nothing to tell: the journey's beginning and end say the rest.
        series.JourneyNoted.type,
        series.JourneyWaiting.type,
        series.JourneyStepTaken.type,
        series.JourneyPassedOver.type,
        # The fact that is made of it is the entry.
        replies.ReplyReceived.type,
        # Each list that comes or goes by it has an entry of its own.
        lists.ListsHandedOver.type,
        lists.ListsReceived.type,
        lists.ListsGivenBack.type,
        lists.ListsTakenBack.type,
        lists.ListsClosed.type,
    }
)
"""Types that say how, where another one says what."""


def kind_name(event_type: str) -> str:
    """The name of a type's kind, whatever its version: `deal.won`."""
    return event_type.rpartition(".")[0]


__all__ = [
    "FACTS",
    "KINDS",
    "MACHINERY",
    "NOBODYS",
    "NOBODYS_FAMILIES",
    "WORDS",
    "Form",
    "Group",
    "Kept",
    "Kind",
    "Saying",
    "kept_of",
    "kind_name",
]
