"""Which tills there are, when each was last heard, and which of its numbers never came."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from shared.mongo import Collection

LATEST = 10_000
"""So many of the last numbers of a till are looked at for gaps."""
MOST_GAPS = 100
LEAST = -(2**53)
"""Below every number, so that ranges are bounded at both ends."""

Gap = tuple[int, int]
"""The first and the last number that are missing in a row."""


@dataclass(frozen=True, slots=True)
class Till:
    """A till of a branch: last heard by our clock and by its own; numbers where it has any.

    `gaps` are those among the last 10,000 numbers, the latest 100.
    """

    branch: str
    till: str
    recorded: datetime
    time: datetime
    highest: int | None
    gaps: Sequence[Gap]


@dataclass(frozen=True, slots=True)
class Tills:
    """Questions to what tills have sent."""

    collection: Collection

    async def of_branch(self, branch: str) -> Sequence[Till]:
        """The tills of a branch by name."""
        found = await self.collection.aggregate(
            [
                {"$match": {"branch": branch}},
                {
                    "$group": {
                        "_id": "$till",
                        "recorded": {"$max": "$recorded"},
                        "time": {"$max": "$time"},
                        "highest": {"$max": "$number"},
                    }
                },
                {"$sort": {"_id": 1}},
            ]
        )
        return [
            Till(
                branch=branch,
                till=each["_id"],
                recorded=each["recorded"],
                time=each["time"],
                highest=each["highest"],
                gaps=await self._gaps(branch, each["_id"], each["highest"]),
            )
            for each in found
        ]

    async def _gaps(self, branch: str, till: str, highest: int | None) -> Sequence[Gap]:
        if highest is None:
            return []
        span = {"$gte": max(LEAST, highest - LATEST + 1), "$lte": highest}
        found = await self.collection.find(
            {"branch": branch, "till": till, "number": span},
            fields={"number": 1},
            sort=[("number", 1)],
        )
        return gaps_in(each["number"] for each in found)[-MOST_GAPS:]


def gaps_in(numbers: Iterable[int]) -> list[Gap]:
    """What is missing between numbers that are in order."""
    return [(low + 1, high - 1) for low, high in pairwise(numbers) if high - low > 1]
