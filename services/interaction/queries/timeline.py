"""The timeline of a person, newest first, as far as the caller may see."""

import asyncio
import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import msgspec

from services.interaction.domain.streams import stream_of
from services.interaction.domain.timeline import Group
from services.interaction.projections.timeline import BEYOND, TimelineEntry, fact_entry
from services.interaction.queries.trees import Tree
from shared.access import Scope
from shared.clock import Clock
from shared.events.contract import EACH, show_moment
from shared.keyring import Keyring, key_ids, unseal
from shared.readmodel import Questions

OF_THE_CHAIN = ""
"""The branch of entries without one."""
TEXTS = ((EACH,),)
FEW_GROUPS = 3
"""More are asked for at once, since then most of what happened is of them."""
FIRST = "0"
"""Before every place."""
MOMENT = len("2018-01-02T00:00:00.000Z")
WEEKS = timedelta(weeks=12)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for; None leaves out nothing. `since` is included, `until` is not.

    `groups` are those that the caller may see, and of these what was chosen; `types` are
    of these groups.
    """

    groups: frozenset[Group]
    types: frozenset[str] | None = None
    branch: str | None = None
    channel: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Entries, asked by customer and place, or by customer, group and place.

    Each of these ranges is asked apart and they are merged as they come, so that a page costs what
    is on it: for few groups, what happened in between of other groups is not read. For the same
    reason the last weeks are asked first, and what was before only when they do not fill a page:
    not every server stops reading a range when it has enough.
    """

    entries: Questions
    keyring: Keyring
    clock: Clock

    async def page(
        self, tree: Tree, asked: Asked, narrow: Scope, after: str | None, limit: int
    ) -> Sequence[TimelineEntry]:
        """At most `limit` entries of everybody in the tree, newest first, after a place.

        A caller of some branches sees what is of these, and what is of no branch where the person
        is theirs: has anything there at all.
        """
        where = _where(asked, after)
        if asked.branch is not None:
            where["branch"] = asked.branch
        elif narrow.branches is not None:
            seen = sorted(narrow.branches)
            if await self._is_of(tree, seen):
                seen.append(OF_THE_CHAIN)
            where["branch"] = {"$in": seen}
        found = await asyncio.gather(
            *(
                self._of(customer, {**where, **within}, limit)
                for customer in tree.customers
                for within in _ranges(asked.groups)
            )
        )
        merged = heapq.merge(*found, key=lambda raw: str(raw["place"]), reverse=True)
        return [msgspec.convert(raw, TimelineEntry) for raw in islice(merged, limit)]

    async def fact(self, fact: str) -> TimelineEntry | None:
        """The entry of a fact; None where there is none, or none any more."""
        raw = await self.entries.get(fact_entry(fact))
        entry = None if raw is None else msgspec.convert(raw, TimelineEntry)
        return None if entry is None or entry.removed else entry

    async def texts(self, entries: Sequence[TimelineEntry]) -> Mapping[str, str]:
        """The personal texts of the entries by their ids, opened; an erased one is not there.

        Raises `MissingKey` and `StoreUnavailable`.
        """
        sealed = {entry.id: dict(entry.sealed) for entry in entries if entry.sealed}
        if not sealed:
            return {}
        keys = await self.keyring.get(
            {key for texts in sealed.values() for key in key_ids(texts, TEXTS)}
        )
        for texts in sealed.values():
            unseal(texts, TEXTS, keys)
        return {
            name: "\n".join(map(str, texts.values())) for name, texts in sealed.items() if texts
        }

    async def has(self, customer: str, version: int) -> bool:
        """Whether the facts of the customer are here up to this version of their stream."""
        stream = f"versions.{stream_of(customer)}"
        found = await self.entries.find(
            {"customer": customer, stream: {"$gte": version}},
            sort=[("place", -1)],
            fields={"place": 1},
            limit=1,
        )
        return bool(found)

    async def _is_of(self, tree: Tree, branches: Sequence[str]) -> bool:
        """Whether anything of the tree is of one of the branches."""
        found = await asyncio.gather(
            *(
                self.entries.find(
                    {"customer": customer, "branch": {"$in": list(branches)}}, limit=1
                )
                for customer in tree.customers
            )
        )
        return any(found)

    async def _of(self, customer: str, where: Mapping[str, Any], limit: int) -> list[Any]:
        """The newest of one range, the last weeks of it first."""
        since, until = where["place"]["$gte"], where["place"]["$lt"]
        recent = max(since, self._weeks_before(until))
        found = await self._within(customer, where, recent, until, limit)
        if len(found) < limit and since < recent:
            found += await self._within(customer, where, since, recent, limit - len(found))
        return found

    async def _within(
        self, customer: str, where: Mapping[str, Any], since: str, until: str, limit: int
    ) -> list[Any]:
        asked = {**where, "customer": customer, "place": {"$gte": since, "$lt": until}}
        return await self.entries.find(asked, sort=[("place", -1)], limit=limit)

    def _weeks_before(self, place: str) -> str:
        """Where the last weeks before a place begin; before all, of one that names no moment."""
        try:
            end = self.clock.now() if place == BEYOND else datetime.fromisoformat(place[:MOMENT])
            return show_moment(end - WEEKS)
        except (ValueError, OverflowError):
            return FIRST


def _ranges(groups: frozenset[Group]) -> Sequence[Mapping[str, Any]]:
    """The filters by group that are asked apart."""
    if groups == frozenset(Group):
        return [{}]
    if len(groups) <= FEW_GROUPS:
        return [{"group": group.value} for group in sorted(groups)]
    return [{"group": {"$in": sorted(group.value for group in groups)}}]


def _where(asked: Asked, after: str | None) -> dict[str, Any]:
    """The filter without customer, group and branch; its range is bounded at both ends."""
    since = FIRST if asked.since is None else show_moment(asked.since)
    until = BEYOND if asked.until is None else show_moment(asked.until)
    where: dict[str, Any] = {
        "place": {"$gte": since, "$lt": until if after is None else min(until, after)}
    }
    if asked.types is not None:
        where["type"] = {"$in": sorted(asked.types)}
    if asked.channel is not None:
        where["channel"] = asked.channel
    return where
