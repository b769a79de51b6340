"""Which deals are to go on with somebody else; the only file with filters of theirs."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from services.customer.projections.deal_owners import DealOwner
from shared.readmodel import Questions

MOST = 100


@dataclass(frozen=True, slots=True)
class DealOwners:
    """Questions to the owners of deals."""

    collection: Questions

    async def pending(self, limit: int = MOST) -> Sequence[DealOwner]:
        """Customers whose deals are to go on elsewhere."""
        found = await self.collection.find({"pending": True}, limit=limit)
        return [msgspec.convert(raw, DealOwner) for raw in found]

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
