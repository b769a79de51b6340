"""The read side of companies; the only file with filters of theirs."""

from collections.abc import Sequence
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
    """Which companies; None leaves one out. `name` is the beginning of theirs."""

    name: str | None = None
    tax_id: str | None = None
    customer: str | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class CompanyList:
    """Questions to the companies."""

    collection: Questions

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
        if wanted.customer is not None:
            where["contacts.customer"] = wanted.customer
        if scope.branches is not None:
            where["branch"] = {"$in": [WHOLE_CHAIN, *sorted(scope.branches)]}
        found = await self.collection.find(where, sort=[("sort", 1)], limit=limit + 1)
        return [msgspec.convert(raw, CompanyDocument) for raw in found]

    async def version(self, company: str) -> int:
        """The version of the company that the list has."""
        raw = await self.collection.get(company)
        if raw is None:
            return 0
        return msgspec.convert(raw, CompanyDocument).versions.get(PREFIX + company, 0)
