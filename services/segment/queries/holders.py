"""Questions to who an identifier finds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from services.segment.projections.holders import Holder, owners_of
from shared.readmodel import Questions


@dataclass(frozen=True, slots=True)
class Holders:
    """Who has which identifier, by its claim: `<kind>|<hash>`."""

    collection: Questions

    async def owners(self, claims: Collection[str]) -> Mapping[str, str]:
        """The owner of each of the claims that has one."""
        if not claims:
            return {}
        found = await self.collection.find({"claims.id": {"$in": sorted(claims)}})
        return owners_of((msgspec.convert(raw, Holder) for raw in found), claims)
