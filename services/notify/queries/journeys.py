"""What is asked of journeys: where customers stand in series."""

from collections.abc import Collection as Some
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.notify.projections.journeys import OPEN, JourneyDocument, journey_key
from shared.readmodel import Questions

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Journeys:
    """Questions to where customers stand in series."""

    questions: Questions

    async def of_series(
        self, series: str, state: str | None, after: str, limit: int
    ) -> Sequence[JourneyDocument]:
        """Those of a series by customer, those after one (`""`: from the first)."""
        where: dict[str, Any] = {"series": series, "_id": {"$gt": journey_key(series, after)}}
        if state is not None:
            where["state"] = state
        found = await self.questions.find(where, sort=[("_id", 1)], limit=limit)
        return [msgspec.convert(raw, JourneyDocument) for raw in found]

    async def of_customer(self, series: str, customer: str) -> JourneyDocument | None:
        """That of one customer."""
        raw = await self.questions.get(journey_key(series, customer))
        return None if raw is None else msgspec.convert(raw, JourneyDocument)

    async def due(
        self, series: str, before: datetime, without: Some[str], limit: int
    ) -> Sequence[JourneyDocument]:
        """Those of a series of whom something is due before a moment, the earliest first."""
        # Bounded at both ends: SecantusDB scans a collection for an open range.
        where: dict[str, Any] = {"series": series, "due_at": {"$gte": LONG_AGO, "$lt": before}}
        return await self._found(where, without, [("due_at", 1)], limit)

    async def noted(
        self, series: str, before: datetime, without: Some[str], limit: int
    ) -> Sequence[JourneyDocument]:
        """Those of whom something is noted from before a moment, the earliest first."""
        where: dict[str, Any] = {"series": series, "noted_at": {"$gte": LONG_AGO, "$lt": before}}
        return await self._found(where, without, [("noted_at", 1)], limit)

    async def entered(
        self, series: str, before: datetime, without: Some[str], limit: int
    ) -> Sequence[JourneyDocument]:
        """Open ones that began before a moment."""
        where = {"series": series, "state": OPEN, "entered": {"$gte": LONG_AGO, "$lt": before}}
        return await self._found(where, without, [("entered", 1)], limit)

    async def ended(self, journeys: Some[tuple[str, str]]) -> Mapping[str, JourneyDocument]:
        """Of these, each a series and a customer, by id."""
        ids = sorted(journey_key(*each) for each in journeys)
        found = await self.questions.find({"_id": {"$in": ids}})
        return {raw["_id"]: msgspec.convert(raw, JourneyDocument) for raw in found}

    async def _found(
        self, where: dict[str, Any], without: Some[str], sort: Sequence[tuple[str, int]], limit: int
    ) -> Sequence[JourneyDocument]:
        if without:
            where["_id"] = {"$nin": sorted(without)}
        found = await self.questions.find(where, sort=sort, limit=limit)
        return [msgspec.convert(raw, JourneyDocument) for raw in found]

    async def count(self, series: str, state: str) -> int:
        """How many of the series stand so."""
        return await self.questions.count({"series": series, "state": state})
