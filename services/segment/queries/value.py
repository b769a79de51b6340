"""What customers are worth, by group: sums over the receipts that stand, exact, in minor units."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.segment.queries.moments import everybody
from shared.moments import WIDTH, milliseconds, unpacked
from shared.readmodel import RawDocument, Scans

DAY = 24 * 3600 * 1000
GroupedBy = Literal["segment", "branch", "home_branch", "city", "source"]
_FIELDS = {"home_branch": "home_branch", "city": "city", "source": "acquisition"}


@dataclass(slots=True)
class Worth:
    """The customers of a group who have bought; `days` are theirs since their first receipts.

    `group` is None for customers of whom it is not known.
    """

    group: str | None
    customers: int = 0
    receipts: int = 0
    spent: int = 0
    days: float = 0.0


@dataclass(frozen=True, slots=True)
class Values:
    """Questions to what customers are worth."""

    activity: Scans
    members: Scans

    async def by(
        self,
        grouped: GroupedBy,
        now: datetime,
        *,
        segments: Sequence[str] = (),
        branches: frozenset[str] | None = None,
    ) -> Sequence[Worth]:
        """Every group, the most net first; `branches` narrows the groups by branch."""
        groups: dict[str | None, Worth] = {}
        member_of = await self._member_of(segments)
        present = milliseconds(now)
        async for people in everybody(self.activity):
            for raw in people:
                for group, held in _parts(raw, grouped, member_of):
                    if grouped != "branch" or branches is None or group in branches:
                        _add(groups.setdefault(group, Worth(group)), held, present)
        found = [each for each in groups.values() if each.customers]
        return sorted(found, key=lambda each: (-each.spent, each.group or ""))

    async def _member_of(self, segments: Sequence[str]) -> dict[str, list[str]]:
        """Customer → which of the segments they are in now."""
        found: dict[str, list[str]] = {}
        for segment in segments:
            where = {"segment": segment, "current": True}
            async for batch in self.members.batches(where, fields={"customer": 1}):
                for raw in batch:
                    found.setdefault(raw["customer"], []).append(segment)
        return found


def _parts(
    raw: RawDocument, grouped: GroupedBy, member_of: dict[str, list[str]]
) -> Iterator[tuple[str | None, Sequence[dict[str, Any]]]]:
    """The groups that a customer belongs to, each with what was bought at which branches."""
    branches = raw.get("branches", ())
    if grouped == "branch":
        yield from ((each["branch"], [each]) for each in branches)
    elif grouped == "segment":
        yield from ((segment, branches) for segment in member_of.get(raw["_id"], ()))
    else:
        yield raw.get(_FIELDS[grouped]), branches


def _add(worth: Worth, branches: Iterable[dict[str, Any]], present: int) -> None:
    first, receipts, spent = present, 0, 0
    for each in branches:
        bought = each.get("bought", b"")
        if bought:
            receipts += len(bought) // WIDTH
            first = min(first, unpacked(bought)[0])
        spent += each.get("spent", 0)
    worth.spent += spent
    if receipts:
        worth.customers += 1
        worth.receipts += receipts
        worth.days += (present - first) / DAY
