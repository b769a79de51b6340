"""The read side of companies; the only file with filters of theirs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.customer.projections.companies import (
    ARCHIVED,
    LIVING,
    PREFIX,
    WHOLE_CHAIN,
    CompanyDocument,
    name_key,
)
from shared.access import Scope
from shared.readmodel import Questions

LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which companies; None leaves one out.

    `name` is the beginning of theirs, `customers` are the ids of one person who speaks for them.
    """

    name: str | None = None
    tax_id: str | None = None
    customers: Collection[str] | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class CompanyList:
    """Questions to the companies, and to the directory for who their contacts are by now."""

    collection: Questions
    customers: Questions

    async def page(
        self, scope: Scope, wanted: Wanted, after: str | None, limit: int
    ) -> Sequence[CompanyDocument]:
        """Companies by name from `after` on, one more than the limit where there is more."""
        beginning = ARCHIVED if wanted.archived else LIVING
        if wanted.name is not None:
            beginning += name_key(wanted.name)
        where: dict[str, Any] = {
            "sort": {"$gt": max(after or "", beginning), "$lt": beginning + LAST}
        }
        if wanted.tax_id is not None:
            where["tax_id"] = wanted.tax_id
        if wanted.customers is not None:
            where["contacts.customer"] = {"$in": sorted(wanted.customers)}
        if scope.branches is not None:
            where["branch"] = {"$in": [WHOLE_CHAIN, *sorted(scope.branches)]}
        found = await self.collection.find(where, sort=[("sort", 1)], limit=limit + 1)
        return [msgspec.convert(raw, CompanyDocument) for raw in found]

    async def survivors(self, customers: Iterable[str]) -> Mapping[str, str]:
        """Those of the customers who were merged, each with whom they are now."""
        into: dict[str, str] = {}
        wanted = set(customers)
        while wanted:
            found = await self.customers.find(
                {"_id": {"$in": sorted(wanted)}}, fields={"_id": 1, "merged_into": 1}
            )
            steps = {raw["_id"]: into_ for raw in found if (into_ := raw.get("merged_into"))}
            into |= steps
            wanted = set(steps.values()) - into.keys()
        ends = {}
        for customer in into:
            end = customer
            # Two entries that are read apart may name each other for a moment.
            for _ in into:
                end = into.get(end, end)
            ends[customer] = end
        return ends

    async def version(self, company: str) -> int:
        """The version of the company that the list has."""
        raw = await self.collection.get(company)
        if raw is None:
            return 0
        return msgspec.convert(raw, CompanyDocument).versions.get(PREFIX + company, 0)
