"""A waiting place for what may become right by itself: kept, looked at again, and then let go.

Time is the database's: a chain's clock may stand still, and nothing would ever be looked at again.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec


class Waiter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What waits: sealed content, and what it waits for.

    `partition`, `offset` and `timestamp` are those of its record; `age` is for how many seconds it
    has waited, as of when it was asked for.
    """

    id: str
    content: bytes
    waits_for: str
    reason: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    age: float = 0.0


class WaitingPlace(Protocol):
    """Where they wait. On MongoDB and in memory it behaves the same (tests/contract)."""

    async def admit(self, waiters: Sequence[Waiter]) -> None:
        """Keep them, to be looked at at once; one that is there already stays as it is."""
        ...

    async def due(self, limit: int) -> Sequence[Waiter]:
        """Those that are to be looked at now, the most urgent first."""
        ...

    async def postpone(self, seconds: Mapping[str, float]) -> None:
        """Look at each again so many seconds from now."""
        ...

    async def release(self, ids: Collection[str]) -> None:
        """They wait no more."""
        ...

    async def count(self) -> int:
        """How many wait."""
        ...
