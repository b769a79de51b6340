"""Who was shown contacts: a counter per caller and hour, a document per answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from shared.mongo.connection import Database, translated
from shared.reveals import Reveal

COUNTS, LINES = "reveal_counts", "reveals"
HIGHEST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class MongoReveals:
    """Implements `Reveals`."""

    database: Database

    async def create_indexes(self) -> None:
        """Make sure that old counts go, and that lines are found by who asked."""
        with translated():
            await self.database.motor[COUNTS].create_indexes(
                [IndexModel([("until", 1)], expireAfterSeconds=0)]
            )
            # Lines are asked for by `line`, since SecantusDB reads no ranges of `_id`.
            await self.database.motor[LINES].create_indexes(
                [IndexModel([("line", 1)]), IndexModel([("by", 1), ("line", 1)])]
            )

    async def take(self, key: str, amount: int, limit: int, until: datetime) -> bool:
        """Count so many more, within the limit."""
        if amount > limit:
            return False
        counts = self.database.motor[COUNTS]
        for _ in range(2):
            with translated():
                try:
                    await counts.update_one(
                        {"_id": key, "count": {"$lte": limit - amount}},
                        {"$inc": {"count": amount}, "$setOnInsert": {"until": until}},
                        upsert=True,
                    )
                except DuplicateKeyError:
                    # Beyond the limit, or two began the count at once: the second try tells.
                    continue
            return True
        return False

    async def note(self, reveal: Reveal) -> None:
        """Keep the line."""
        document = {
            "_id": reveal.id,
            "line": reveal.id,
            "at": reveal.at,
            "by": reveal.by,
            "way": reveal.way,
            "customers": list(reveal.customers),
        }
        with translated():
            await self.database.motor[LINES].insert_one(document)

    async def page(self, *, by: str | None, before: str | None, limit: int) -> Sequence[Reveal]:
        """The newest lines first."""
        who = {} if by is None else {"by": by}
        found = await self.database.collection(LINES).find(
            {**who, "line": {"$gte": "", "$lt": before or HIGHEST}},
            sort=[("line", -1)],
            limit=limit,
        )
        return [
            Reveal(each["_id"], each["at"], each["by"], each["way"], tuple(each["customers"]))
            for each in found
        ]
