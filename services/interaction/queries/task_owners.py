"""Whose tasks they are by now, and what planning needs of customers, deals and segments."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.interaction.projections.task_owners import TaskOwner
from services.interaction.projections.task_sources import Callee, DealDuty
from shared.readmodel import Questions

MOST = 100
BEYOND = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class TaskOwners:
    """Questions to the owners of tasks."""

    collection: Questions

    async def pending(self, limit: int = MOST) -> Sequence[TaskOwner]:
        """Customers with whose tasks something is to be done."""
        found = await self.collection.find({"pending": True}, limit=limit)
        return [msgspec.convert(raw, TaskOwner) for raw in found]

    async def living(self, customer: str) -> str:
        """Who the customer is by now: a merged one is the survivor."""
        current = customer
        for _ in range(MOST):
            found = await self.collection.get(current)
            survivor = None if found is None else found.get("survivor")
            if survivor is None:
                return current
            current = survivor
        return current

    async def some(self, customers: Collection[str]) -> Mapping[str, TaskOwner]:
        """Those of the customers who are known."""
        found = await self.collection.find({"_id": {"$in": sorted(customers)}})
        return {raw["_id"]: msgspec.convert(raw, TaskOwner) for raw in found}


@dataclass(frozen=True, slots=True)
class TaskSources:
    """Questions to the deals and the members of segments that tasks are planned for."""

    deals: Questions
    callees: Questions

    async def duties(self, deals: Collection[str]) -> Mapping[str, DealDuty]:
        """Those of the deals that are known."""
        found = await self.deals.find({"_id": {"$in": sorted(deals)}})
        return {raw["_id"]: msgspec.convert(raw, DealDuty) for raw in found}

    async def members(self, segment: str, after: str, limit: int) -> Sequence[Callee]:
        """Customers in a segment, by id, from the one after this on."""
        where: dict[str, Any] = {"segments": segment, "_id": {"$gt": after, "$lt": BEYOND}}
        found = await self.callees.find(where, sort=[("_id", 1)], limit=limit)
        return [msgspec.convert(raw, Callee) for raw in found]
