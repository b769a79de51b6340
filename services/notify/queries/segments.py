"""What is asked of the segments that there are."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from services.notify.projections.segments import KnownSegment
from shared.readmodel import Questions


@dataclass(frozen=True, slots=True)
class Segments:
    """Questions to segments."""

    questions: Questions

    async def standing(self) -> Mapping[str, str]:
        """Segment → its title, of those that customers can be in."""
        found = [msgspec.convert(raw, KnownSegment) for raw in await self.questions.find({})]
        return {
            each.id: each.title for each in sorted(found, key=lambda each: each.id) if each.stands
        }
