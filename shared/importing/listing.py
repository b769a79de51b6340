"""The list of imports."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.readmodel import Questions, RawDocument

INDEXES = ((("listed", 1),), (("by", 1), ("listed", 1)))
LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class ImportList:
    """Questions to the drafts of imports."""

    collection: Questions

    async def page(self, by: str | None, before: str | None, limit: int) -> Sequence[RawDocument]:
        """The newest imports before a place in the list; `by` None leaves none out."""
        where: dict[str, Any] = {"listed": {"$gte": "", "$lt": before or LAST}}
        if by is not None:
            where["by"] = by
        return await self.collection.find(where, sort=[("listed", -1)], limit=limit)
