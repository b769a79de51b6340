"""What customers have spent, and the sums over them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.interaction.domain.streams import stream_of
from services.interaction.projections.totals import BranchTotals, CustomerTotals, Suspicion
from shared.access import Scope
from shared.mongo import Collection

SUMS = ("visits", "receipts", "spent", "returns", "returned", "tips", "costed", "cost")
MOST_SUSPICIONS = 1_000

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Sums over branches, customers or both; money in minor units, as in `BranchTotals`.

    `customers` are those who are known and have a receipt; `branch` is set where all is of one.
    """

    customers: int = 0
    visits: int = 0
    receipts: int = 0
    spent: int = 0
    returns: int = 0
    returned: int = 0
    tips: int = 0
    costed: int = 0
    cost: int = 0
    first: datetime | None = None
    last: datetime | None = None
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class Suspected:
    """Somebody, known or not, with a day on which there were too many receipts."""

    who: str
    unknown: bool
    suspicion: Suspicion


@dataclass(frozen=True, slots=True)
class Totals:
    """What customers have spent, at the branches of a scope."""

    collection: Collection

    async def get(self, customer: str) -> CustomerTotals | None:
        """The totals of one customer at all branches; None without any fact."""
        raw = await self.collection.get(customer)
        return None if raw is None else msgspec.convert(raw, CustomerTotals)

    async def version(self, customer: str) -> int:
        """The version of the customer's stream that the totals have."""
        totals = await self.get(customer)
        return 0 if totals is None else totals.versions.get(stream_of(customer), 0)

    async def chain(self, scope: Scope) -> Figures:
        """The sums over all customers, and over receipts of nobody known."""
        found = await self.collection.aggregate(
            [
                *_branches(scope),
                {
                    "$group": {
                        "_id": "$_id",
                        "unknown": {"$first": "$unknown"},
                        **_sums("branches."),
                    }
                },
                {"$group": {"_id": None, "customers": _customers(""), **_sums("")}},
            ]
        )
        return _figures(found[0]) if found else Figures()

    async def branches(self, scope: Scope) -> Sequence[Figures]:
        """The sums of each branch, by its name."""
        found = await self.collection.aggregate(
            [
                *_branches(scope),
                {
                    "$group": {
                        "_id": "$branches.branch",
                        "customers": _customers("branches."),
                        **_sums("branches."),
                    }
                },
                {"$sort": {"_id": 1}},
            ]
        )
        return [_figures(sums, branch=sums["_id"]) for sums in found]

    async def categories(self, scope: Scope) -> Mapping[Path, int]:
        """Net of each category over all customers, in minor units."""
        found = await self.collection.aggregate(
            [
                *_branches(scope),
                {"$unwind": "$branches.categories"},
                {
                    "$group": {
                        "_id": "$branches.categories.path",
                        "spent": {"$sum": "$branches.categories.spent"},
                    }
                },
            ]
        )
        return {tuple(sums["_id"]): sums["spent"] for sums in found}

    async def suspected(self, scope: Scope) -> Sequence[Suspected]:
        """Those who are suspected of misuse and have bought at a branch of the scope."""
        found = await self.collection.find(
            {"suspicions.told": True}, fields={"branches.bought": 0}, limit=MOST_SUSPICIONS
        )
        everybody = [msgspec.convert(raw, CustomerTotals) for raw in found]
        return [
            Suspected(totals.id, totals.unknown, each)
            for totals in sorted(everybody, key=lambda totals: totals.id)
            if any(scope.allows(branch.branch) for branch in totals.branches)
            for each in totals.suspicions
            if each.told and not each.lifted
        ]


def sums_of(branches: Iterable[BranchTotals]) -> Figures:
    """The sums over some branches of one customer."""
    chosen = list(branches)
    sums = {name: sum(getattr(each, name) for each in chosen) for name in SUMS}
    return Figures(
        **sums,
        first=min((each.first for each in chosen if each.first is not None), default=None),
        last=max((each.last for each in chosen if each.last is not None), default=None),
    )


def categories_of(branches: Iterable[BranchTotals]) -> Mapping[Path, int]:
    """Net of each category at some branches of one customer."""
    spent: dict[Path, int] = {}
    for branch in branches:
        for each in branch.categories:
            path = tuple(each.path)
            spent[path] = spent.get(path, 0) + each.spent
    return spent


def top(
    categories: Mapping[Path, int], level: int | None, limit: int
) -> Sequence[tuple[Path, int]]:
    """The categories with the most net, the first by its name where it is as much.

    `level` counts from the root, 1: what is deeper counts for the one above it. Without a level
    each category stands for itself.
    """
    spent: dict[Path, int] = {}
    for path, amount in categories.items():
        place = path[:level]
        spent[place] = spent.get(place, 0) + amount
    best = sorted(spent.items(), key=lambda each: (-each[1], each[0]))
    return [each for each in best if each[1] > 0][:limit]


def favourite(branches: Iterable[BranchTotals]) -> str | None:
    """The branch of the most visits, then of the most net, then of the first name."""
    best = min(branches, key=lambda each: (-each.visits, -each.spent, each.branch), default=None)
    return best.branch if best is not None and best.visits else None


def _figures(sums: Mapping[str, Any], branch: str | None = None) -> Figures:
    return Figures(
        **{name: sums[name] for name in SUMS},
        customers=sums["customers"],
        first=sums["first"],
        last=sums["last"],
        branch=branch,
    )


def _branches(scope: Scope) -> Sequence[Mapping[str, Any]]:
    """Stages that give a document per customer and branch, those of the scope only."""
    unwind = {"$unwind": "$branches"}
    if scope.branches is None:
        return [unwind]
    within = {"$match": {"branches.branch": {"$in": sorted(scope.branches)}}}
    return [within, unwind, within]


def _sums(place: str) -> Mapping[str, Any]:
    return {
        **{name: {"$sum": f"${place}{name}"} for name in SUMS},
        "first": {"$min": f"${place}first"},
        "last": {"$max": f"${place}last"},
    }


def _customers(place: str) -> Mapping[str, Any]:
    """Counts those who are known and have a receipt."""
    bought = {"$cond": [{"$gt": [f"${place}receipts", 0]}, 1, 0]}
    return {"$sum": {"$cond": ["$unknown", 0, bought]}}
