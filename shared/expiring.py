"""Entries that are kept for a while: what was sent and not confirmed, what was used once, counts.

An entry exists until its moment and not a moment longer, whenever the database comes round to
deleting it. Adding is the race that one wins: the id of an entry that lives is taken.
"""

from datetime import datetime
from typing import Protocol


class Expiring(Protocol):
    """Entries by id; moments are those of the machine's clock."""

    async def add(self, entry: str, content: bytes, now: datetime, until: datetime) -> bool:
        """Keep the entry; False, and nothing kept, when one of the id lives."""
        ...

    async def get(self, entry: str, now: datetime) -> bytes | None:
        """What a living entry holds."""
        ...

    async def count(self, entry: str, now: datetime, until: datetime) -> int:
        """Count one more; the first begins the count, which lives until then. Gives how many."""
        ...
