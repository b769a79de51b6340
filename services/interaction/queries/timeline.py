"""The timeline of a person, newest first, as far as the caller may see."""

import asyncio
import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from services.interaction.domain.streams import stream_of
from services.interaction.domain.timeline import Group
from services.interaction.projections.timeline import BEYOND, TimelineEntry
from services.interaction.queries.trees import Tree
from shared.access import Scope
from shared.events.contract import EACH, show_moment
from shared.keyring import Keyring, key_ids, unseal
from shared.readmodel import Questions

OF_THE_CHAIN = ""
"""The branch of entries without one."""
TEXTS = ((EACH,),)
FIRST = ""
"""Before every place."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for; None leaves out nothing. `since` is included, `until` is not.

    `groups` are those that the caller may see.
    """

    groups: frozenset[Group]
    types: frozenset[str] | None = None
    branch: str | None = None
    channel: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Entries, asked by the index of customer and place."""

    entries: Questions
    keyring: Keyring

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
            *(self._of(customer, where, limit) for customer in tree.customers)
        )
        merged = heapq.merge(*found, key=lambda raw: str(raw["place"]), reverse=True)
        return [msgspec.convert(raw, TimelineEntry) for raw in islice(merged, limit)]

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
                self._of(customer, {"branch": {"$in": list(branches)}}, 1)
                for customer in tree.customers
            )
        )
        return any(found)

    async def _of(self, customer: str, where: Mapping[str, Any], limit: int) -> list[Any]:
        return await self.entries.find(
            {"customer": customer, **where}, sort=[("place", -1)], limit=limit
        )


def _where(asked: Asked, after: str | None) -> dict[str, Any]:
    """The filter without customer and branch; a range is bounded at both ends, as servers like."""
    since = FIRST if asked.since is None else show_moment(asked.since)
    until = BEYOND if asked.until is None else show_moment(asked.until)
    where: dict[str, Any] = {
        "place": {"$gte": since, "$lt": until if after is None else min(until, after)}
    }
    if asked.types is not None:
        where["type"] = {"$in": sorted(asked.types)}
    if asked.groups != frozenset(Group):
        where["group"] = {"$in": sorted(asked.groups)}
    if asked.channel is not None:
        where["channel"] = asked.channel
    return where
