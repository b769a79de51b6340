"""What a process knows of the store's: never too old, and at once as it was changed here.

What is asked for all the time is asked of the database once in a while, and by one at a time. What
was changed here while it was being read may not be in what was read: so that counts as unread.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_NEVER = float("-inf")


@dataclass(slots=True)
class Freshness:
    """When something was read last, by the loop's time; `read` reads it and keeps it."""

    read: Callable[[], Awaitable[None]]
    oldest_seconds: float
    _read_at: float = _NEVER
    _changes: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ensure(self) -> None:
        """Read it, unless it was read within the last so many seconds. Raises what `read` does."""
        if self._fresh():
            return
        async with self._lock:
            if not self._fresh():
                await self._read()

    async def renew(self) -> None:
        """Read it, however fresh it is. Raises what `read` does."""
        async with self._lock:
            await self._read()

    def forget(self) -> None:
        """It was changed here: whoever asks next, sees it."""
        self._changes += 1
        self._read_at = _NEVER

    def _fresh(self) -> bool:
        return asyncio.get_running_loop().time() - self._read_at <= self.oldest_seconds

    async def _read(self) -> None:
        asked_at, changes = asyncio.get_running_loop().time(), self._changes
        await self.read()
        self._read_at = asked_at if changes == self._changes else _NEVER
