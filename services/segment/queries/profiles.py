"""Questions to the profiles: one, or all of them in the order of their ids."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec

from services.segment.engine.profile import Profile
from shared.readmodel import Scans


@dataclass(frozen=True, slots=True)
class Profiles:
    """Who was erased is in none of the answers."""

    collection: Scans

    async def get(self, customer: str) -> Profile | None:
        """The profile of a customer; None where nothing is known."""
        raw = await self.collection.get(customer)
        profile = None if raw is None else msgspec.convert(raw, Profile)
        return None if profile is None or profile.removed else profile

    async def known(self, customers: Sequence[str]) -> frozenset[str]:
        """Those of the customers of whom anything is known, also who was merged since."""
        found = await self.collection.find({"_id": {"$in": list(customers)}}, fields={"removed": 1})
        return frozenset(raw["_id"] for raw in found if not raw.get("removed"))

    async def estimate(self) -> int:
        """About how many there are, those who are another customer by now included."""
        return await self.collection.estimate()

    async def ranges(self, after: str | None, size: int) -> AsyncIterator[Sequence[Profile]]:
        """All profiles by id from one on, erased ones included, `size` at a time.

        Each is read once, at a moment of its own.
        """
        where = {} if after is None else {"_id": {"$gt": after}}
        async for found in self.collection.batches(where, sort=[("_id", 1)], size=size):
            yield [msgspec.convert(raw, Profile) for raw in found]

    async def after(self, customer: str | None, limit: int) -> Sequence[Profile]:
        """The next profiles by id, erased ones included, so that the last says where to go on."""
        where = {} if customer is None else {"_id": {"$gt": customer}}
        found = await self.collection.find(where, sort=[("_id", 1)], limit=limit)
        return [msgspec.convert(raw, Profile) for raw in found]
