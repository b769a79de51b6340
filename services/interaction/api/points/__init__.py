"""Points over HTTP: balances and ledgers, spending at tills, changes by hand, and the rules.

A balance belongs to the customer, so whoever knows the customer is shown it whole; the entries of
a ledger are shown as far as the caller's branches go. Rules belong to the chain.
"""

from dataclasses import dataclass

from fastapi import APIRouter

from services.interaction.api.points.by_hand import ByHandApi
from services.interaction.api.points.desk import PointsDesk
from services.interaction.api.points.ledger import LedgerApi
from services.interaction.api.points.rules import PointsRulesApi
from services.interaction.api.points.spending import SpendingApi


@dataclass(frozen=True, slots=True)
class PointsApi:
    """All of them, on what they need."""

    desk: PointsDesk

    def router(self) -> APIRouter:
        """All their routes."""
        whole = APIRouter()
        for each in (
            LedgerApi(self.desk),
            SpendingApi(self.desk),
            ByHandApi(self.desk),
            PointsRulesApi(self.desk),
        ):
            whole.include_router(each.router())
        return whole


__all__ = ["PointsApi", "PointsDesk"]
