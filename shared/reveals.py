"""Who was shown contacts in the clear: how many in an hour, and which, for ever to be read.

A copy of the customer base leaves one page at a time, so it is counted for each caller, and every
page leaves a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reveal:
    """One answer with contacts in the clear; `customers` are ids, `by` is the principal."""

    id: str
    at: datetime
    by: str
    way: str
    customers: tuple[str, ...]


class Reveals(Protocol):
    """Where counts and lines are kept."""

    async def take(self, key: str, amount: int, limit: int, until: datetime) -> bool:
        """Count so many more under the key; False, and nothing counted, beyond the limit.

        A count is forgotten some time after `until`.
        """
        ...

    async def note(self, reveal: Reveal) -> None:
        """Keep the line."""
        ...

    async def page(self, *, by: str | None, before: str | None, limit: int) -> Sequence[Reveal]:
        """The newest lines first, those before an id; of one principal, when one is named."""
        ...
