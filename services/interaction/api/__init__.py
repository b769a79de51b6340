"""HTTP of the interaction service: decode, call a handler or a query."""

from services.interaction.api.facts import FactApi
from services.interaction.api.imports import ImportApi
from services.interaction.api.totals import TotalsApi

__all__ = ["FactApi", "ImportApi", "TotalsApi"]
