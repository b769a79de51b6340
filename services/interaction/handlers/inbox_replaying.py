"""Sending dead letters again, once what was wrong with them is repaired.

What was sent again is remembered by its place, so that it is listed no more. Sent twice, because a
process died in between, it changes nothing: facts have ids of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.dead_letters import Buried, DeadLetters
from shared.decider import Refused
from shared.readmodel import Leases

LEASE = "inbox-replay"
LEASE_SECONDS = 60.0
NEXT = "next"
UNDER_WAY = Refused(
    "replay-under-way", 409, "The dead letters are just being sent again.", "look again later"
)


@dataclass(frozen=True, slots=True)
class Replaying:
    """The dead letters of the inbox, and how far they were sent again."""

    dead: DeadLetters
    leases: Leases
    owner: str

    async def open(self, start: int, limit: int) -> tuple[Sequence[Buried], int | None]:
        """Those from a place on that were not sent again, and the place of the next, if any.

        One that is there twice, because its writer died before it could tell, counts once.
        """
        found = await self.dead.listed(max(start, await self._next()), limit + 1)
        by_origin: dict[tuple[str, int, int], Buried] = {}
        for each in found[:limit]:
            letter = each.letter
            by_origin.setdefault((letter.topic, letter.partition, letter.offset), each)
        return [*by_origin.values()], found[limit].place if len(found) > limit else None

    async def replay(self) -> int:
        """Send all of them again; gives how many. Raises `Refused` while somebody else does it."""
        lease = await self.leases.acquire(LEASE, self.owner, LEASE_SECONDS)
        if lease is None:
            raise UNDER_WAY
        try:
            replayed = await self.dead.replay(await self._next())
            await self.leases.save(lease, {NEXT: replayed.next})
            return replayed.count
        finally:
            await self.leases.release(lease)

    async def _next(self) -> int:
        state = await self.leases.state(LEASE)
        return int(state.get(NEXT, 0))
