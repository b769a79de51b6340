"""Questions to who is and was in which segment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.segment.projections.members import Interval, Member, member_id
from shared.decider import invalid
from shared.mongo import Collection


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one segment: members now, and how often anybody entered and left."""

    members: int = 0
    entered: int = 0
    exited: int = 0


@dataclass(frozen=True, slots=True)
class Members:
    """Questions to who is and was in which segment."""

    collection: Collection

    async def figures(self) -> Mapping[str, Figures]:
        """Members, entries and exits of every segment, summed over customers."""
        rows = await self.collection.aggregate(
            [
                {
                    "$group": {
                        "_id": "$segment",
                        "members": {"$sum": {"$cond": ["$current", 1, 0]}},
                        "entered": {"$sum": {"$size": "$intervals"}},
                    }
                }
            ]
        )
        return {
            row["_id"]: Figures(row["members"], row["entered"], row["entered"] - row["members"])
            for row in rows
        }

    async def count(self, segment: str, at: datetime | None) -> int:
        """How many are in it, now or at a moment; exact."""
        return await self.collection.count(_inside(segment, at))

    async def page(
        self, segment: str, at: datetime | None, after: str | None, limit: int
    ) -> Sequence[Member]:
        """Members by customer id from `after` on, one more than the limit where there is more."""
        where = _inside(segment, at)
        if after is not None:
            where["_id"] = {"$gt": member_id(segment, after)}
        found = await self.collection.find(where, sort=[("_id", 1)], limit=limit + 1)
        return [msgspec.convert(raw, Member) for raw in found]

    async def page_by_since(
        self, segment: str, after: str | None, limit: int, *, newest_first: bool
    ) -> Sequence[Member]:
        """Who is in it now, by the moment of entering; `after` is the `since` of a member.

        Raises `Refused` (422) for the `since` of another segment's.
        """
        low, high = f"{segment}|", f"{segment}}}"
        if after is not None and not after.startswith(low):
            # Beyond its own end the index holds the members of other segments.
            raise invalid("cursor", "is not a cursor of this list")
        if newest_first:
            where, direction = {"$gte": low, "$lt": after or high}, -1
        else:
            where, direction = {"$gt": after or low, "$lt": high}, 1
        found = await self.collection.find(
            {"since": where}, sort=[("since", direction)], limit=limit + 1
        )
        return [msgspec.convert(raw, Member) for raw in found]

    async def of(self, segment: str, customer: str) -> Member | None:
        """A customer in a segment, now or once."""
        found = await self.collection.find({"_id": member_id(segment, customer)}, limit=1)
        return msgspec.convert(found[0], Member) if found else None

    async def of_customer(self, customer: str) -> Sequence[Member]:
        """Every segment that the customer is or was in."""
        found = await self.collection.find({"customer": customer}, sort=[("_id", 1)])
        return [msgspec.convert(raw, Member) for raw in found]


def logged_at(member: Member, at: datetime) -> Interval | None:
    """The interval that makes the customer a member at a moment; None where there is none."""
    return next((each for each in member.intervals if each.entered <= at < each.exited), None)


def interval_at(member: Member, at: datetime | None) -> Interval:
    """The interval that makes the customer a member at the moment (now: the last)."""
    if at is None:
        return member.intervals[-1]
    return next(each for each in member.intervals if each.entered <= at < each.exited)


def _inside(segment: str, at: datetime | None) -> dict[str, Any]:
    """The filter for `[entered, exited)` around a moment."""
    if at is None:
        return {"segment": segment, "current": True}
    return {
        "segment": segment,
        "intervals": {"$elemMatch": {"entered": {"$lte": at}, "exited": {"$gt": at}}},
    }
