"""The read side of tasks; the only file with filters of theirs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.interaction.projections.agenda import AgendaEntry
from shared.access import Scope
from shared.events.contract import Path, show_moment
from shared.keyring import ERASED, Keyring, key_ids, unseal
from shared.readmodel import Questions, RawDocument

PERSONAL: tuple[Path, ...] = (
    ("words", "title"),
    ("words", "notes"),
    ("outcome", "text"),
    ("outcome", "answers", "*"),
)
BEYOND = "\U0010ffff"
"""Behind every text that is looked for."""
MOST_HANDED = 200


@dataclass(frozen=True, slots=True)
class Filters:
    """Which tasks; None leaves one out. `person` does it, or it was escalated to them.

    `due_before` keeps those that are due before a moment.
    """

    person: str | None = None
    branch: str | None = None
    customer: str | None = None
    call_list: str | None = None
    status: str | None = None
    kind: str | None = None
    department: str | None = None
    due_before: datetime | None = None

    def where(self) -> dict[str, Any]:
        """As the database is asked."""
        named = {
            "people": self.person,
            "branch": self.branch,
            "customer": self.customer,
            "call_list": self.call_list,
            "status": self.status,
            "kind": self.kind,
            "department": self.department,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class TaskList:
    """A page, and where the next one begins (None: nowhere)."""

    entries: list[AgendaEntry]
    after: str | None


@dataclass(frozen=True, slots=True)
class Agenda:
    """Questions to the tasks."""

    collection: Questions
    keyring: Keyring

    async def get(self, task: str) -> AgendaEntry | None:
        """One task; None when there is none, or when nothing is left of it."""
        raw = await self.collection.get(task)
        if raw is None or raw.get("removed"):
            return None
        return (await self._opened([raw]))[0]

    async def version(self, task: str, stream: str) -> int:
        """The version of one of the task's streams that can be seen."""
        raw = await self.collection.get(task)
        version: int = 0 if raw is None else raw["versions"].get(stream, 0)
        return version

    async def page(self, scope: Scope, filters: Filters, after: str | None, limit: int) -> TaskList:
        """Tasks of the scope from `after` on, by when they are due; those that never are last."""
        # Ranges are bounded at both ends: SecantusDB scans a collection for an open one.
        beyond = BEYOND if filters.due_before is None else show_moment(filters.due_before)
        turn = {"$gt": after or "", "$lt": beyond}
        where = narrowed(scope, {**filters.where(), "turn": turn})
        found = await self.collection.find(where, sort=[("turn", 1)], limit=limit + 1)
        page = found[:limit]
        entries = await self._opened([raw for raw in page if not raw.get("removed")])
        return TaskList(entries, page[-1]["turn"] if len(found) > limit else None)

    async def outcomes(self, scope: Scope, call_list: str) -> Mapping[str, Counter[str]]:
        """How many tasks of a call list have which outcome, by status; those of the scope."""
        found = await self.collection.find(
            narrowed(scope, {"call_list": call_list}),
            fields={"status": 1, "outcome.outcome": 1},
        )
        counts: dict[str, Counter[str]] = {}
        for raw in found:
            word = (raw.get("outcome") or {}).get("outcome") or ""
            counts.setdefault(raw["status"], Counter())[word] += 1
        return counts

    async def left_behind(self, leavers: Sequence[str]) -> Sequence[AgendaEntry]:
        """Open tasks of those who have left."""
        return await self._some({"responsible": {"$in": list(leavers)}, "status": "open"})

    async def taken_over(self, givers: Sequence[str]) -> Sequence[AgendaEntry]:
        """Open tasks that somebody took over from them, and still has."""
        found = await self._some({"giver": {"$in": list(givers)}, "status": "open"})
        return [each for each in found if each.responsible == each.taker]

    async def _some(self, where: Mapping[str, Any]) -> Sequence[AgendaEntry]:
        found = await self.collection.find(where, limit=MOST_HANDED)
        return [msgspec.convert(raw, AgendaEntry) for raw in found]

    async def _opened(self, raws: Sequence[RawDocument]) -> list[AgendaEntry]:
        """The documents with their texts in the clear; those of who was erased are absent."""
        wanted = {key for raw in raws for key in key_ids(raw, PERSONAL)}
        if wanted:
            keys = await self.keyring.get(wanted)
            erased, nobodys = await self._erased(raws), dict.fromkeys(wanted, ERASED)
            for raw in raws:
                unseal(raw, PERSONAL, nobodys if raw["customer"] in erased else keys)
        return [msgspec.convert(raw, AgendaEntry) for raw in raws]

    async def _erased(self, raws: Sequence[RawDocument]) -> set[str]:
        """Customers who are erased, of those tasks that hold texts sealed with another's key.

        Such a text was written while two were merged who have parted since.
        """
        customers = {
            raw["customer"]
            for raw in raws
            if raw["customer"] is not None and key_ids(raw, PERSONAL) - {raw["customer"]}
        }
        return set(await self.keyring.erased(customers)) if customers else set()


def narrowed(scope: Scope, where: Mapping[str, Any]) -> dict[str, Any]:
    """The filter, for the tasks of a scope's branches only."""
    if scope.branches is None:
        return dict(where)
    branches = scope.branches
    if "branch" in where:
        branches = branches & {where["branch"]}
    return {**where, "branch": {"$in": sorted(branches)}}
