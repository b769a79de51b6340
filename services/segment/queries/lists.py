"""Questions to static lists: which there are, and who is and was on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.segment.domain.lists import LISTS, StaticList, archived, list_stream
from services.segment.projections.lists import ListMember, member_id
from shared.decider import not_found
from shared.envelope import decode
from shared.events.lists import ListArchived
from shared.eventstore import EventStore
from shared.execute import Writer
from shared.readmodel import Questions


async def standing_lists(store: EventStore) -> frozenset[str]:
    """The names of the lists that are not archived."""
    told = await store.read(await store.names(list_stream("")))
    return frozenset(
        stream.removeprefix(list_stream(""))
        for stream, commits in told.items()
        if all(
            decode(text).type != ListArchived.type for commit in commits for text in commit.events
        )
    )


@dataclass(frozen=True, slots=True)
class StaticLists:
    """Questions to the lists, which are few and read from the log itself."""

    writer: Writer

    async def require(self, name: str) -> StaticList:
        """One list. Raises `Refused` (404) when there is none."""
        state, _ = await self.writer.state(LISTS, list_stream(name))
        if not state.version:
            raise not_found("list", name)
        return state

    async def require_standing(self, name: str) -> StaticList:
        """One list that is of use. Raises `Refused` (404, 409)."""
        state = await self.require(name)
        if state.archived:
            raise archived(name)
        return state

    async def all(self) -> Mapping[str, StaticList]:
        """All lists by name, archived ones too."""
        names = await self.writer.store.names(list_stream(""))
        histories = await self.writer.histories(names)
        return {
            name.removeprefix(list_stream("")): LISTS.fold(events)
            for name, (events, _) in sorted(histories.items())
        }


@dataclass(frozen=True, slots=True)
class ListMembers:
    """Questions to who is and was on which list."""

    collection: Questions

    async def count(self, name: str, at: datetime | None) -> int:
        """How many are on it, now or at a moment; exact."""
        return await self.collection.count(_inside(name, at))

    async def page(
        self, name: str, at: datetime | None, after: str | None, limit: int
    ) -> Sequence[ListMember]:
        """Members by customer id from `after` on, one more than the limit where there is more."""
        where = _inside(name, at)
        if after is not None:
            where["_id"] = {"$gt": member_id(name, after)}
        found = await self.collection.find(where, sort=[("_id", 1)], limit=limit + 1)
        return [msgspec.convert(raw, ListMember) for raw in found]

    async def of_customer(self, customer: str) -> Sequence[ListMember]:
        """Every list that the customer is or was on."""
        found = await self.collection.find({"customer": customer}, sort=[("_id", 1)])
        return [msgspec.convert(raw, ListMember) for raw in found]


def _inside(name: str, at: datetime | None) -> dict[str, Any]:
    """The filter for `[entered, left)` around a moment."""
    if at is None:
        return {"list": name, "current": True}
    around = {"entered": {"$lte": at}, "left": {"$gt": at}}
    return {"list": name, "intervals": {"$elemMatch": around}}
