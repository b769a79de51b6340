"""Who works where, and whose day it is at a branch: all of it, never older than a second.

There are few of them, and tasks ask for them all the time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from services.interaction.domain.tasks import UTC_ZONE
from services.interaction.projections.staff import BRANCH, EMPLOYEE, StaffEntry
from shared.clock import to_milliseconds
from shared.freshness import Freshness
from shared.readmodel import Questions

OLDEST_SECONDS = 1.0
BEYOND = "\U0010ffff"
MOST_SUCCESSORS = 100


@dataclass(frozen=True, slots=True)
class People:
    """Employees and branches by name, as they were read; `zone` is the chain's."""

    employees: Mapping[str, StaffEntry] = field(default_factory=dict)
    branches: Mapping[str, StaffEntry] = field(default_factory=dict)
    by_principal: Mapping[str, str] = field(default_factory=dict)

    def who(self, principal: str) -> str:
        """The employee who calls; else the id of the caller."""
        return self.by_principal.get(principal, principal)

    def zone(self, branch: str | None, otherwise: str = UTC_ZONE) -> str:
        """The time zone of a branch."""
        known = None if branch is None else self.branches.get(branch)
        return otherwise if known is None or known.zone is None else known.zone

    def at_position(self, position: str, branch: str | None) -> str | None:
        """The first by name who has the position at the branch, one of the chain if none has."""
        having = [each for each in self.employees.values() if each.position == position]
        here = sorted(each.name for each in having if each.branches and each.works_at(branch))
        chain = sorted(each.name for each in having if each.works_at(None))
        return next(iter([*here, *chain]), None)

    def left_to(self) -> Mapping[str, tuple[str, str]]:
        """Who has left → who does their work now, and the id of the event of the leaving."""
        return {
            name: (taker, entry.left)
            for name, entry in self.employees.items()
            if entry.left is not None and (taker := self._successor(entry)) is not None
        }

    def returned(self) -> list[str]:
        """Those who had left and are back."""
        return sorted(name for name, each in self.employees.items() if each.returned is not None)

    def _successor(self, entry: StaffEntry) -> str | None:
        """The first of the successors, one after another, who works here."""
        for _ in range(MOST_SUCCESSORS):
            if entry.successor is None:
                return None
            following = self.employees.get(entry.successor)
            if following is None:
                return None
            if following.left is None:
                return following.name
            entry = following
        return None


def people_of(entries: Iterable[StaffEntry]) -> People:
    """The entries by name."""
    employees: dict[str, StaffEntry] = {}
    branches: dict[str, StaffEntry] = {}
    principals: dict[str, str] = {}
    for entry in entries:
        if entry.id.startswith(BRANCH):
            branches[entry.name] = entry
        elif entry.id.startswith(EMPLOYEE):
            employees[entry.name] = entry
            if entry.left is None:
                principals |= dict.fromkeys(entry.principals, entry.name)
    return People(employees, branches, principals)


def end_of_day(now: datetime, zone: str) -> datetime:
    """The first moment of tomorrow in a time zone."""
    local = now.astimezone(ZoneInfo(zone))
    midnight = datetime.combine(
        local.date() + timedelta(days=1), datetime.min.time(), tzinfo=local.tzinfo
    )
    return to_milliseconds(midnight)


@dataclass(slots=True)
class Staff:
    """Asks for all of them at most once a second."""

    collection: Questions
    _known: People = field(default_factory=People)
    _freshness: Freshness = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._freshness = Freshness(self._read, OLDEST_SECONDS)

    async def people(self) -> People:
        """As they were within the last second. Raises `StoreUnavailable`."""
        await self._freshness.ensure()
        return self._known

    async def _read(self) -> None:
        found = await self.collection.find({"_id": {"$gte": "", "$lt": BEYOND}})
        self._known = people_of(msgspec.convert(raw, StaffEntry) for raw in found)
