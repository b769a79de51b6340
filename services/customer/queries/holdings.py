"""What is somebody's or some branch's: whose customers and open deals are to be handed over."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.readmodel import Questions

HoldingKind = Literal["customer", "deal"]
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Holding:
    """A customer or a deal."""

    kind: HoldingKind
    id: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """Questions to the directory of customers (by its `marks`) and to the deals, as far as read."""

    customers: Questions
    deals: Questions

    async def of_employee(self, employee: str) -> AsyncIterator[Sequence[Holding]]:
        """Customers and open deals that an employee answers for."""
        async for found in _ids(self.customers, {"marks": f"responsible:{employee}"}):
            yield [Holding("customer", each) for each in found]
        async for found in _ids(self.deals, {"responsible": employee, "status": "open"}):
            yield [Holding("deal", each) for each in found]

    async def of_branch(self, branch: str) -> AsyncIterator[Sequence[Holding]]:
        """Customers whose home a branch is."""
        async for found in _ids(self.customers, {"marks": f"home:{branch}"}):
            yield [Holding("customer", each) for each in found]


async def _ids(collection: Questions, where: Mapping[str, Any]) -> AsyncIterator[Sequence[str]]:
    after = ""
    while True:
        found = await collection.find(
            {**where, "_id": {"$gt": after}},
            fields={"_id": 1, "removed": 1},
            sort=[("_id", 1)],
            limit=CHUNK,
        )
        if found:
            yield [raw["_id"] for raw in found if not raw.get("removed")]
        if len(found) < CHUNK:
            return
        after = found[-1]["_id"]
