"""Questions to the suppression list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.notify.projections.suppressions import Suppression
from shared.readmodel import Questions


@dataclass(frozen=True, slots=True)
class Suppressions:
    """The list as the read model has it."""

    questions: Questions

    async def page(
        self, reason: str | None, before: str | None, limit: int
    ) -> Sequence[Suppression]:
        """Addresses, the latest first, one more than the limit where there is more."""
        turn = {"$gt": ""} if before is None else {"$gt": "", "$lt": before}
        where: dict[str, Any] = {"turn": turn}
        if reason is not None:
            where["reason"] = reason
        found = await self.questions.find(where, sort=[("turn", -1)], limit=limit + 1)
        return [msgspec.convert(raw, Suppression) for raw in found]
