"""A broadcast to many is started by somebody who has seen how many they are."""

from dataclasses import dataclass
from typing import Protocol

from services.notify.handlers.books.campaigns import CampaignBook
from shared.decider import Refused
from shared.events.campaign import AnyBroadcast, BroadcastList


class Counted(Protocol):
    """Who is in a segment, or on a list."""

    async def count_members(self, segment: str) -> int:
        """How many there are now."""
        ...

    async def count_listed(self, name: str) -> int:
        """How many are on a list now."""
        ...


@dataclass(frozen=True, slots=True)
class Audience:
    """Who a broadcast would go to; to at most `unconfirmed` it goes without asking."""

    book: CampaignBook
    members: Counted
    unconfirmed: int

    async def require_confirmed(self, name: str, confirmed: int | None) -> None:
        """Raise `Refused` (409) with the count where a broadcast goes to more than was confirmed.

        Fewer than were confirmed are no reason to ask again: the segment has shrunk since.
        """
        definition = (await self.book.require(name)).campaign.definition
        if definition is None or not isinstance(definition.trigger, AnyBroadcast):
            return
        count = await self._count(definition.trigger)
        if count <= self.unconfirmed or (confirmed is not None and count <= confirmed):
            return
        raise Refused(
            "confirmation-needed",
            409,
            "So many recipients are to be confirmed.",
            f"it would go to {count}: send `confirm` with this number",
            extra={"recipients": str(count)},
        )

    async def _count(self, trigger: AnyBroadcast) -> int:
        if isinstance(trigger, BroadcastList):
            return await self.members.count_listed(trigger.list)
        return await self.members.count_members(trigger.segment)
