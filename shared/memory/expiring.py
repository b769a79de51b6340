"""Entries that are kept for a while, in memory."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class MemoryExpiring:
    """Implements `Expiring`."""

    _entries: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    _counts: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    async def add(self, entry: str, content: bytes, now: datetime, until: datetime) -> bool:
        """Keep the entry, unless one of the id lives."""
        if await self.get(entry, now) is not None:
            return False
        self._entries[entry] = (content, until)
        return True

    async def get(self, entry: str, now: datetime) -> bytes | None:
        """What a living entry holds."""
        content, until = self._entries.get(entry, (None, now))
        return content if until > now else None

    async def count(self, entry: str, now: datetime, until: datetime) -> int:
        """Count one more."""
        before, lives = self._counts.get(entry, (0, until))
        if lives <= now:
            before, lives = 0, until
        self._counts[entry] = (before + 1, lives)
        return before + 1
