"""Whom identifiers find."""

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Collection as Several
from dataclasses import dataclass
from typing import Any

import msgspec

from services.interaction.projections.identifiers import (
    Identifiers,
    lives_on,
    own_id,
    owners_of,
)
from shared.mongo import Collection

Owners = Callable[[Several[str]], Awaitable[Mapping[str, str]]]
"""Gives the customer of each `<kind>|<hash>` (or `customer|<id>`) that finds one."""


async def living(owners: Owners, customer: str) -> str | None:
    """Who the customer is by now; None for somebody who is not known."""
    entry = own_id(customer)
    return (await owners([entry])).get(entry)


@dataclass(frozen=True, slots=True)
class Customers:
    """Whom identifiers find."""

    collection: Collection

    async def owners(self, ids: Several[str]) -> Mapping[str, str]:
        """The customer of each `<kind>|<hash>` (or `customer|<id>`) that finds one.

        One query, and one more for each step from who was merged to who lives on.
        """
        if not ids:
            return {}
        wanted = frozenset(ids)
        found = await self._find({"entries.id": {"$in": sorted(wanted)}})
        survivors: dict[str, str] = {}
        asked = found
        while merged := {each.id: each.merged for each in asked if each.merged is not None}:
            survivors |= merged
            unknown = set(merged.values()) - survivors.keys()
            asked = await self._find({"_id": {"$in": sorted(unknown)}}) if unknown else []
        return {
            entry: living
            for entry, owner in owners_of(found, wanted).items()
            if (living := lives_on(owner, survivors)) is not None
        }

    async def _find(self, where: Mapping[str, Any]) -> list[Identifiers]:
        found = await self.collection.find(where, fields={"entries": 1, "merged": 1})
        return [msgspec.convert(raw, Identifiers) for raw in found]

    async def exists(self, customer: str) -> bool:
        """Whether there is such a customer."""
        return await living(self.owners, customer) is not None
