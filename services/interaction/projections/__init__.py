"""Read models of the interaction service, as pure folds."""

from services.interaction.projections.identifiers import IDENTIFIERS, Identifiers
from services.interaction.projections.totals import TOTALS, CustomerTotals

__all__ = ["IDENTIFIERS", "TOTALS", "CustomerTotals", "Identifiers"]
