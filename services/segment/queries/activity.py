"""What single customers have bought, in a few figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from services.segment.projections.activity import Activity
from shared.moments import WIDTH, ends_of
from shared.readmodel import Scans


@dataclass(frozen=True, slots=True)
class Summary:
    """One customer; money is net, in minor units."""

    receipts: int = 0
    spent: int = 0
    first: datetime | None = None
    last: datetime | None = None
    home_branch: str | None = None
    city: str | None = None


@dataclass(frozen=True, slots=True)
class Activities:
    """Questions to what customers have bought."""

    collection: Scans

    async def get(self, customer: str) -> Activity | None:
        """One customer; None of whom nothing was ever heard."""
        raw = await self.collection.get(customer)
        return None if raw is None else msgspec.convert(raw, Activity)

    async def summaries(self, customers: Sequence[str]) -> Mapping[str, Summary]:
        """Those of the customers of whom anything was heard."""
        found = await self.collection.find({"_id": {"$in": list(customers)}})
        return {raw["_id"]: summed(msgspec.convert(raw, Activity)) for raw in found}


def summed(activity: Activity) -> Summary:
    """The figures of one customer."""
    ends = [ends_of(each.bought) for each in activity.branches]
    return Summary(
        receipts=sum(len(each.bought) for each in activity.branches) // WIDTH,
        spent=sum(each.spent for each in activity.branches),
        first=min((first for first, _ in ends if first is not None), default=None),
        last=max((last for _, last in ends if last is not None), default=None),
        home_branch=activity.home_branch,
        city=activity.city,
    )
