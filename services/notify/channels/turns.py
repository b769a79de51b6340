"""Turns at a provider: no more at once, and no more in a second, than the channel declares.

Hand-overs are spread evenly over the second, since a burst is what providers cut off.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Turns:
    """Gives turns; `per_second` None: as many as there are."""

    at_once: int
    per_second: float | None = None
    _slots: asyncio.Semaphore = field(init=False)
    _next: float = 0.0

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.at_once)

    @asynccontextmanager
    async def turn(self, deadline: float) -> AsyncIterator[None]:
        """One turn. Raises `TimeoutError` when none is free before the deadline (loop's time)."""
        async with asyncio.timeout_at(deadline):
            await self._slots.acquire()
        try:
            await self._spread(deadline)
            yield
        finally:
            self._slots.release()

    async def _spread(self, deadline: float) -> None:
        now = asyncio.get_running_loop().time()
        at = now if self.per_second is None else max(now, self._next)
        # At the deadline itself it is over; a process that was frozen must not go on where it was.
        if at >= deadline:
            raise TimeoutError
        if self.per_second is not None:
            self._next = at + 1 / self.per_second
        if at > now:
            await asyncio.sleep(at - now)
