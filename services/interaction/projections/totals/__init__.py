"""`totals`: what customers have done, one document per customer; queries make sums over many.

A stream of somebody unknown has a document of its own, so that figures of branches hold receipts
of nobody known too. What the log tells of suspicions of misuse is folded here as well.
"""

from zoneinfo import ZoneInfo

from services.interaction.domain.days import Days
from services.interaction.projections.totals.document import (
    BranchTotals,
    CategoryTotals,
    CustomerTotals,
    Pending,
    Suspicion,
)
from services.interaction.projections.totals.folding import TotalsFold, blank, totals_id
from services.interaction.projections.totals.reading import READS
from shared.projection import Projection

__all__ = [
    "MISUSE_LIMIT",
    "TOTALS",
    "BranchTotals",
    "CategoryTotals",
    "CustomerTotals",
    "Pending",
    "Suspicion",
    "totals_of",
]

MISUSE_LIMIT = 10
"""Receipts that one customer may have on a day, where the chain says nothing else."""


def totals_of(zone: ZoneInfo, limit: int) -> Projection[CustomerTotals]:
    """Totals by the days of a zone; more receipts than the limit on one of them are suspicious."""
    return Projection(
        name="totals_v2",
        topics=("interaction.events.v1",),
        reads=READS,
        document=CustomerTotals,
        target=totals_id,
        apply=TotalsFold(Days(zone), limit).apply,
        gapless=True,
        blank=blank,
        indexes=((("due_at", 1),), (("suspicions.told", 1),)),
    )


TOTALS = totals_of(ZoneInfo("UTC"), MISUSE_LIMIT)
"""Totals of a chain that has set nothing."""
