"""Looking for pairs: whoever has changed is compared with those in the same blocks, soon after.

One worker of the chain looks at a time. Each look takes `stale` back by a guarded write: a change
that comes meanwhile wins, and the customer is looked at again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog

from services.customer.domain.likeness import LIKELY, Score, compare
from services.customer.projections.duplicates import Candidate
from services.customer.queries.duplicates import CLOSED, Likely, Pair, pair_id
from shared.eventstore import StoreUnavailable
from shared.projection import Document
from shared.readmodel import Documents, Leases

LEASE = "duplicates"
LEASE_SECONDS = 30.0
POLL_SECONDS = 0.5
BATCH = 50

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Keeps the pairs; `candidates` and `pairs` are the documents that `likely` asks about."""

    likely: Likely
    candidates: Documents
    pairs: Documents
    leases: Leases
    owner: str

    async def run(self) -> None:
        """Look for pairs until cancelled."""
        while True:
            try:
                looked = await self.look()
            except StoreUnavailable as failure:
                log.warning("pairs wait", reason=str(failure))
                looked = 0
            if looked < BATCH:
                await asyncio.sleep(POLL_SECONDS)

    async def look(self) -> int:
        """Look at some who have changed, unless somebody else does; gives how many."""
        lease = await self.leases.acquire(LEASE, self.owner, LEASE_SECONDS)
        if lease is None:
            return 0
        try:
            changed = await self.likely.stale(BATCH)
            for candidate in changed:
                await self._pair(candidate)
            return len(changed)
        finally:
            await self.leases.release(lease)

    async def _pair(self, candidate: Candidate) -> None:
        others = await self.likely.in_blocks(candidate.blocks)
        others = {name: other for name, other in others.items() if name != candidate.id}
        pairs = dict(await self.likely.pairs_of(candidate.id))
        changed = [
            closed(pair) for pair in pairs.values() if others.keys().isdisjoint(pair.customers)
        ]
        for other in others.values():
            pair = pairs.get(pair_id(candidate.id, other.id))
            score = scored(candidate, other)
            if score is not None or pair is not None:
                changed.append(suggested(candidate, other, score, pair))
        news = [pair for pair in changed if pair != pairs.get(pair.id)]
        # Whoever was faster wrote what the same candidates give.
        await self.pairs.write([_raw(pair) for pair in news])
        candidate.stale = False
        await self.candidates.write([_raw(candidate)])


def scored(candidate: Candidate, other: Candidate) -> Score | None:
    """How alike two are; None where it is no suggestion."""
    if other.id in candidate.dismissed or candidate.id in other.dismissed:
        return None
    score = compare(candidate.likeness, other.likeness)
    return score if score.points >= LIKELY else None


def suggested(
    candidate: Candidate, other: Candidate, score: Score | None, pair: Pair | None
) -> Pair:
    """The pair as it now is."""
    first, second = sorted((candidate, other), key=lambda each: each.id)
    name = pair_id(first.id, second.id)
    made = Pair(
        id=name,
        rev=0 if pair is None else pair.rev,
        customers=(first.id, second.id),
        first_branch=first.home_branch,
        second_branch=second.home_branch,
    )
    if score is None:
        return made
    place = f"{100 - score.points:03}|{name}"
    return msgspec.structs.replace(made, score=score.points, fields=score.fields, place=place)


def closed(pair: Pair) -> Pair:
    """The pair, which is no suggestion any more."""
    return msgspec.structs.replace(pair, score=0, fields=(), place=CLOSED)


def _raw(document: Document) -> dict[str, object]:
    raw: dict[str, object] = msgspec.to_builtins(document, builtin_types=())
    return {**raw, "rev": document.rev + 1}


def likeliest(
    asked: Candidate, found: Sequence[Candidate], most: int
) -> Sequence[tuple[Candidate, Score]]:
    """Those most like somebody who is not registered yet, the best first."""
    scores = [(each, score) for each in found if (score := scored(asked, each)) is not None]
    return sorted(scores, key=lambda item: (-item[1].points, item[0].id))[:most]
