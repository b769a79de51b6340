"""Questions to the profiles: one, or all of them in the order of their ids."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from services.segment.engine.profile import Profile
from shared.readmodel import Questions


@dataclass(frozen=True, slots=True)
class Profiles:
    """Who was erased is in none of the answers."""

    collection: Questions

    async def get(self, customer: str) -> Profile | None:
        """The profile of a customer; None where nothing is known."""
        raw = await self.collection.get(customer)
        profile = None if raw is None else msgspec.convert(raw, Profile)
        return None if profile is None or profile.removed else profile

    async def known(self, customers: Sequence[str]) -> frozenset[str]:
        """Those of the customers of whom anything is known, also who was merged since."""
        found = await self.collection.find({"_id": {"$in": list(customers)}}, fields={"removed": 1})
        return frozenset(raw["_id"] for raw in found if not raw.get("removed"))

    async def count(self) -> int:
        """How many there are, those who are another customer by now included."""
        return await self.collection.count({})

    async def after(self, customer: str | None, limit: int) -> Sequence[Profile]:
        """The next profiles by id, erased ones included, so that the last says where to go on."""
        where = {} if customer is None else {"_id": {"$gt": customer}}
        found = await self.collection.find(where, sort=[("_id", 1)], limit=limit)
        return [msgspec.convert(raw, Profile) for raw in found]
