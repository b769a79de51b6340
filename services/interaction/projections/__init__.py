"""Read models of the interaction service, as pure folds."""

from services.interaction.projections.identifiers import IDENTIFIERS, Identifiers
from services.interaction.projections.points import POINTS, PointsEntry
from services.interaction.projections.products import PRODUCTS, ProductDocument
from services.interaction.projections.timeline import TIMELINE, TimelineEntry
from services.interaction.projections.totals import TOTALS, CustomerTotals

__all__ = [
    "IDENTIFIERS",
    "POINTS",
    "PRODUCTS",
    "TIMELINE",
    "TOTALS",
    "CustomerTotals",
    "Identifiers",
    "PointsEntry",
    "ProductDocument",
    "TimelineEntry",
]
