"""The read side of customers; the only file with filters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from services.customer.projections.directory import DirectoryEntry
from shared.access import Scope
from shared.identifiers import KnownIdentifier
from shared.mongo import Collection


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list, and where the next one begins (None: nowhere)."""

    entries: list[DirectoryEntry]
    after: str | None


@dataclass(frozen=True, slots=True)
class Directory:
    """Questions to the customer list."""

    collection: Collection

    async def get(self, customer: str) -> DirectoryEntry | None:
        """One customer."""
        raw = await self.collection.get(customer)
        return None if raw is None else msgspec.convert(raw, DirectoryEntry)

    async def find(self, identifier: KnownIdentifier) -> DirectoryEntry | None:
        """The customer that a full identifier finds, in whatever branch."""
        found = await self.collection.find({"found_by": identifier.claim_id}, limit=1)
        return msgspec.convert(found[0], DirectoryEntry) if found else None

    async def page(self, scope: Scope, after: str | None, limit: int) -> Page:
        """Customers by name from `after` on, those of the scope's branches only."""
        where: dict[str, Any] = dict(in_scope(scope))
        if after is not None:
            where["sort_name"] = {"$gt": after}
        found = await self.collection.find(where, sort=[("sort_name", 1)], limit=limit + 1)
        entries = [msgspec.convert(raw, DirectoryEntry) for raw in found[:limit]]
        return Page(entries, entries[-1].sort_name if len(found) > limit else None)

    async def version(self, customer: str, stream: str) -> int:
        """The version of the customer's stream that the list has."""
        entry = await self.get(customer)
        return 0 if entry is None else entry.versions.get(stream, 0)

    async def count(self, scope: Scope) -> int:
        """How many customers the scope has, counted exactly."""
        return await self.collection.count(in_scope(scope))


def in_scope(scope: Scope) -> Mapping[str, Any]:
    """The filter that narrows customers to the branches of a scope."""
    if scope.branches is None:
        return {}
    return {"home_branch": {"$in": list(scope.branches)}}
