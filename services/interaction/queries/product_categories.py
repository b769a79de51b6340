"""The tree of product categories as the service's own store has it, never older than a second."""

import asyncio
from dataclasses import dataclass, field

from services.interaction.domain.product_categories import (
    CATEGORIES,
    CATEGORY_STREAM,
    CategoryTree,
)
from shared.eventstore import Head
from shared.execute import Writer

OLDEST_SECONDS = 1.0
_NEVER = float("-inf")


@dataclass(slots=True)
class CategoryBook:
    """The tree; the head is asked for at most each second, and the stream read when it has grown.

    Raises `StoreUnavailable`, as all of its questions do.
    """

    writer: Writer
    _known: CategoryTree = field(default_factory=CategoryTree)
    _read_at: float = _NEVER
    _changes: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def fresh(self) -> CategoryTree:
        """The tree as it was within the last second."""
        if asyncio.get_running_loop().time() - self._read_at <= OLDEST_SECONDS:
            return self._known
        async with self._lock:
            if asyncio.get_running_loop().time() - self._read_at > OLDEST_SECONDS:
                await self._read()
            return self._known

    def forget(self) -> None:
        """Somebody has changed it here: who asks next, sees it."""
        self._changes += 1
        self._read_at = _NEVER

    async def _read(self) -> None:
        asked_at, changes = asyncio.get_running_loop().time(), self._changes
        heads = await self.writer.store.heads([CATEGORY_STREAM])
        if heads.get(CATEGORY_STREAM, Head()).version != self._known.version:
            self._known, _ = await self.writer.state(CATEGORIES, CATEGORY_STREAM)
        # What was changed here while it was being read may not be in what was read.
        self._read_at = asked_at if changes == self._changes else _NEVER
