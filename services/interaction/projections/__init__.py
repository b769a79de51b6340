"""Read models of the interaction service, as pure folds."""

from services.interaction.projections.identifiers import IDENTIFIERS, Identifiers
from services.interaction.projections.points import POINTS, PointsEntry
from services.interaction.projections.products import PRODUCTS, ProductDocument
from services.interaction.projections.tills import TILLS, Heard
from services.interaction.projections.timeline import TIMELINE, TimelineEntry
from services.interaction.projections.totals import TOTALS, CustomerTotals

__all__ = [
    "IDENTIFIERS",
    "POINTS",
    "PRODUCTS",
    "TILLS",
    "TIMELINE",
    "TOTALS",
    "CustomerTotals",
    "Heard",
    "Identifiers",
    "PointsEntry",
    "ProductDocument",
    "TimelineEntry",
]
