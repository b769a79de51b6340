"""Questions to those who may be one person: who stands in a block, and which pairs are likely.

A block that holds more than `MOST` customers says too little of each: it is passed over and
counted, so that looking for one customer costs the same in a base of any size.
"""

from collections.abc import Collection as Several
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.customer.domain.likeness import Likeness, blocks
from services.customer.projections.duplicates import Candidate
from shared import telemetry
from shared.access import Scope
from shared.projection import Document
from shared.readmodel import Questions

MOST = 50
CLOSED = ""
"""What `place` is of a pair that is no suggestion: before every other."""
PAIR_INDEXES = ((("place", 1),), (("customers", 1),))


class Pair(Document, kw_only=True):
    """Two customers who may be one, with their home branches.

    `place` sorts the best first: `<100 − score, 3 digits>|<id>`, unique.
    """

    customers: tuple[str, str]
    first_branch: str | None
    second_branch: str | None
    score: int = 0
    fields: tuple[str, ...] = ()
    place: str = CLOSED


def pair_id(one: str, other: str) -> str:
    """The id of a pair, whichever is named first."""
    return "|".join(sorted((one, other)))


@dataclass(frozen=True, slots=True)
class Likely:
    """Questions to candidates and pairs."""

    candidates: Questions
    pairs: Questions

    async def in_blocks(self, blocks: Several[str]) -> Mapping[str, Candidate]:
        """Those who stand in one of the blocks, by id."""
        found: dict[str, Candidate] = {}
        for block in sorted(blocks):
            raws = await self.candidates.find({"blocks": block}, limit=MOST + 1)
            if len(raws) > MOST:
                telemetry.DUPLICATE_BLOCKS_PASSED_OVER.inc()
                continue
            found |= {raw["_id"]: msgspec.convert(raw, Candidate) for raw in raws}
        return found

    async def shared(self, claims: Several[str], secret: bytes) -> frozenset[str]:
        """Those of the identifiers (`<kind>|<hash>`) that somebody has who shares them."""
        found: set[str] = set()
        for claim in sorted(claims):
            block = {"$in": blocks(Likeness(shared=[claim]), secret)}
            raws = await self.candidates.find({"blocks": block}, limit=MOST)
            if any(claim in msgspec.convert(raw, Candidate).likeness.shared for raw in raws):
                found.add(claim)
        return frozenset(found)

    async def stale(self, limit: int) -> Sequence[Candidate]:
        """Some of whom pairs have not been looked for since their last change."""
        raws = await self.candidates.find({"stale": True}, sort=[("_id", 1)], limit=limit)
        return [msgspec.convert(raw, Candidate) for raw in raws]

    async def pairs_of(self, customer: str) -> Mapping[str, Pair]:
        """All pairs of the customer that were ever likely, by id."""
        raws = await self.pairs.find({"customers": customer})
        return {raw["_id"]: msgspec.convert(raw, Pair) for raw in raws}

    async def page(self, scope: Scope, after: str | None, limit: int) -> Sequence[Pair]:
        """Likely pairs, the best first, one more than the limit where there is more."""
        where: dict[str, Any] = {"place": {"$gt": after or CLOSED}}
        if scope.branches is not None:
            branches = {"$in": sorted(scope.branches)}
            where |= {"first_branch": branches, "second_branch": branches}
        raws = await self.pairs.find(where, sort=[("place", 1)], limit=limit + 1)
        return [msgspec.convert(raw, Pair) for raw in raws]
