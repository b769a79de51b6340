"""Who is one person with whom: a customer, and all who were merged into them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.interaction.projections.identifiers import Identifiers
from shared.readmodel import Questions

FIELDS: Mapping[str, Any] = {"entries": 1, "merged": 1, "removed": 1}


@dataclass(frozen=True, slots=True)
class Tree:
    """A living customer with all who were merged into them; `customers` begins with the living one.

    Who was erased is alone, and stays so.
    """

    living: str
    customers: Sequence[str]
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees of merges, as `identifiers` knows them."""

    identifiers: Questions

    async def of(self, customer: str) -> Tree | None:
        """The tree that a customer belongs to; None for nobody.

        One round trip for who was never merged; one more for each level of merges.
        """
        found, below = await asyncio.gather(self._known([customer]), self._merged_into([customer]))
        if not found:
            return None
        top, seen = found[0], {customer}
        while top.merged is not None and top.merged not in seen:
            seen.add(top.merged)
            above = await self._known([top.merged])
            if not above:
                break  # partitions are read apart: the survivor is not there yet
            top = above[0]
        if top.removed:
            return Tree(top.id, (top.id,), erased=True)
        if top.id != customer:
            below = await self._merged_into([top.id])
        return Tree(top.id, (top.id, *await self._all_below(top.id, below)))

    async def customers(self, customer: str) -> Sequence[str]:
        """Who is one with a customer, the customer included; nobody for nobody."""
        tree = await self.of(customer)
        return () if tree is None else tree.customers

    async def _all_below(self, top: str, below: Sequence[str]) -> Sequence[str]:
        found: dict[str, None] = {}
        while below := [each for each in below if each not in found and each != top]:
            found.update(dict.fromkeys(below))
            below = await self._merged_into(below)
        return list(found)

    async def _merged_into(self, customers: Sequence[str]) -> Sequence[str]:
        found = await self.identifiers.find({"merged": {"$in": list(customers)}}, fields=FIELDS)
        return sorted(raw["_id"] for raw in found)

    async def _known(self, customers: Sequence[str]) -> Sequence[Identifiers]:
        found = await self.identifiers.find({"_id": {"$in": list(customers)}}, fields=FIELDS)
        return [msgspec.convert(raw, Identifiers) for raw in found]
