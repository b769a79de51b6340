"""Who was shown contacts, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.reveals import Reveal


@dataclass(slots=True)
class MemoryReveals:
    """Implements `Reveals`."""

    _counts: dict[str, int] = field(default_factory=dict)
    _lines: list[Reveal] = field(default_factory=list)

    async def take(self, key: str, amount: int, limit: int, until: datetime) -> bool:
        """Count so many more, within the limit."""
        del until
        counted = self._counts.get(key, 0) + amount
        if counted > limit:
            return False
        self._counts[key] = counted
        return True

    async def note(self, reveal: Reveal) -> None:
        """Keep the line."""
        self._lines.append(reveal)

    async def page(self, *, by: str | None, before: str | None, limit: int) -> Sequence[Reveal]:
        """The newest lines first."""
        found = sorted(self._lines, key=lambda line: line.id, reverse=True)
        return [
            line for line in found if by in (None, line.by) and (before is None or line.id < before)
        ][:limit]
