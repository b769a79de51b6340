"""What customers have spent, and the sums over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.interaction.domain.receipts import stream_of
from services.interaction.projections.totals import CustomerTotals
from shared.access import Scope
from shared.mongo import Collection


@dataclass(frozen=True, slots=True)
class ChainTotals:
    """Sums over customers; `turnover` in minor units."""

    customers: int
    receipts: int
    turnover: int


@dataclass(frozen=True, slots=True)
class BranchFigures:
    """Sums of one branch; `turnover` in minor units."""

    branch: str
    customers: int
    receipts: int
    turnover: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """What customers have spent, at the branches of a scope."""

    collection: Collection

    async def get(self, customer: str) -> CustomerTotals | None:
        """The totals of one customer at all branches; None without any receipt."""
        raw = await self.collection.get(customer)
        return None if raw is None else msgspec.convert(raw, CustomerTotals)

    async def version(self, customer: str) -> int:
        """The version of the customer's stream that the totals have."""
        totals = await self.get(customer)
        return 0 if totals is None else totals.versions.get(stream_of(customer), 0)

    async def chain(self, scope: Scope) -> ChainTotals:
        """The sums over all customers."""
        per_customer: list[Mapping[str, Any]] = []
        if not scope.everything:
            per_customer = [
                *_branches(scope),
                {
                    "$group": {
                        "_id": "$_id",
                        "receipts": {"$sum": "$branches.receipts"},
                        "spent": {"$sum": "$branches.spent"},
                    }
                },
            ]
        found = await self.collection.aggregate(
            [*per_customer, {"$group": {"_id": None, **_sums("")}}]
        )
        if not found:
            return ChainTotals(0, 0, 0)
        (sums,) = found
        return ChainTotals(sums["customers"], sums["receipts"], sums["turnover"])

    async def branches(self, scope: Scope) -> Sequence[BranchFigures]:
        """The sums of each branch, by its name."""
        found = await self.collection.aggregate(
            [
                *_branches(scope),
                {
                    "$group": {
                        "_id": "$branches.branch",
                        **_sums("branches."),
                        "first": {"$min": "$branches.first"},
                        "last": {"$max": "$branches.last"},
                    }
                },
                {"$sort": {"_id": 1}},
            ]
        )
        return [
            BranchFigures(
                branch=sums["_id"],
                customers=sums["customers"],
                receipts=sums["receipts"],
                turnover=sums["turnover"],
                first=sums["first"],
                last=sums["last"],
            )
            for sums in found
        ]


def _branches(scope: Scope) -> Sequence[Mapping[str, Any]]:
    """Stages that give a document per customer and branch, those of the scope only."""
    unwind = {"$unwind": "$branches"}
    if scope.branches is None:
        return [unwind]
    within = {"$match": {"branches.branch": {"$in": sorted(scope.branches)}}}
    return [within, unwind, within]


def _sums(place: str) -> Mapping[str, Any]:
    return {
        "customers": {"$sum": 1},
        "receipts": {"$sum": f"${place}receipts"},
        "turnover": {"$sum": f"${place}spent"},
    }
