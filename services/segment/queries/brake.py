"""What the wave brake and evaluations of definitions ask: how many there are, moved and left."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.readmodel import Documents, Questions

_LATER = datetime(9999, 12, 31, tzinfo=UTC)
"""Ranges are bounded at both ends: SecantusDB scans a collection for an open one."""
_MANY = 2**53


@dataclass(frozen=True, slots=True)
class Base:
    """All customers that there are profiles of."""

    profiles: Questions

    async def count(self, limit: int | None = None) -> int:
        """How many there are, counted up to `limit`."""
        return await self.profiles.count({}, limit)

    async def oldest(self) -> int:
        """The lowest number of a rule set that anybody was evaluated with last."""
        found = await self.profiles.find(
            {"rules": {"$gte": 0, "$lt": _MANY}}, fields={"rules": 1}, sort=[("rules", 1)], limit=1
        )
        return found[0]["rules"] if found else _MANY

    async def left(self, number: int) -> int:
        """How many were evaluated with a rule set older than the one of this number, or never."""
        return await self.profiles.count({"rules": {"$gte": 0, "$lt": number}})

    async def lacking(self, names: Collection[str], limit: int | None = None) -> int:
        """How many do not keep enough for one of the rules, which therefore is not asked yet."""
        if not names:
            return 0
        return await self.profiles.count({"lacks": {"$in": sorted(names)}}, limit)


@dataclass(frozen=True, slots=True)
class Movements:
    """How many customers were moved in or out of segments lately."""

    waves: Questions

    async def since(self, segment: str, moment: datetime, limit: int | None = None) -> int:
        """How many were moved after a moment, counted up to `limit`."""
        where = {"segment": segment, "at": {"$gt": moment, "$lt": _LATER}}
        return await self.waves.count(where, limit)


@dataclass(frozen=True, slots=True)
class Evaluations:
    """When evaluations of definitions over the base were found to be through."""

    documents: Documents

    async def note(self, segment: str, definition: int, begun: datetime, at: datetime) -> None:
        """Note it, once: a note that is there stays as it is."""
        note = {"_id": _evaluation(segment, definition, begun), "rev": 1, "finished_at": at}
        await self.documents.write([note])

    async def finished(self, segment: str, definition: int, begun: datetime) -> datetime | None:
        """When it was found to be through; None while it is not."""
        name = _evaluation(segment, definition, begun)
        found = await self.documents.load([name])
        moment: datetime | None = found[name]["finished_at"] if name in found else None
        return moment


def _evaluation(segment: str, definition: int, begun: datetime) -> str:
    """A definition that stands again is evaluated again."""
    return f"{segment}|{definition}|{begun.isoformat()}"
