"""What is asked of the messages: what is to be sent, and the log of all."""

from collections.abc import Collection as Some
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.notify.domain import Stage
from services.notify.projections import QueuedMessage
from services.notify.projections.queue import CLOSED, WAITING, turn_of
from shared.readmodel import Questions


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for in the log of messages; what is absent is not asked for.

    A period is that of the moment at which a message was scheduled: from `since` on, before
    `until`.
    """

    customer: str | None = None
    campaign: str | None = None
    stage: Stage | None = None
    reason: str | None = None
    channel: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def filter(self) -> dict[str, Any]:
        """The same as a filter of MongoDB."""
        asked = {
            "customer": self.customer,
            "campaign": self.campaign,
            "stage": None if self.stage is None else self.stage.value,
            "reason": self.reason,
            "channel": self.channel,
        }
        where: dict[str, Any] = {name: each for name, each in asked.items() if each is not None}
        ends = {"$gte": self.since, "$lt": self.until}
        period = {name: each for name, each in ends.items() if each is not None}
        return where | ({"scheduled_at": period} if period else {})


@dataclass(frozen=True, slots=True)
class Queue:
    """Questions to the messages."""

    questions: Questions

    async def open(self, buckets: Some[int], after: str, limit: int) -> Sequence[QueuedMessage]:
        """Open messages of the buckets in their turn, those after a turn (`""`: from the first).

        What waits for a moment is not among them.
        """
        found = await self.questions.find(
            {"due": {"$gt": after or CLOSED, "$lt": WAITING}, "bucket": {"$in": sorted(buckets)}},
            sort=[("due", 1)],
            limit=limit,
        )
        return [msgspec.convert(raw, QueuedMessage) for raw in found]

    async def woken(
        self, buckets: Some[int], at: datetime, after: str, limit: int
    ) -> Sequence[QueuedMessage]:
        """Those of the buckets whose moment has come by `at` (the chain's clock), after a turn."""
        come = {"$gt": after or WAITING, "$lte": WAITING + turn_of(at, "~")}
        found = await self.questions.find(
            {"due": come, "bucket": {"$in": sorted(buckets)}},
            sort=[("due", 1)],
            limit=limit,
        )
        return [msgspec.convert(raw, QueuedMessage) for raw in found]

    async def of_customers(self, customers: Some[str], at: datetime) -> Sequence[QueuedMessage]:
        """Their messages that wait to be sent, and whose moment has come by `at`."""
        whose = {"customer": {"$in": sorted(customers)}, "stage": Stage.SCHEDULED.value}
        found = await self.questions.find({**whose, "due": {"$gt": CLOSED}})
        messages = [msgspec.convert(raw, QueuedMessage) for raw in found]
        return [each for each in messages if each.until is None or each.until <= at]

    async def referring(self, references: Some[str]) -> Sequence[QueuedMessage]:
        """Messages that providers know by one of these (`reference_key`)."""
        found = await self.questions.find({"references": {"$in": sorted(references)}})
        return [msgspec.convert(raw, QueuedMessage) for raw in found]

    async def latest_to(self, contact: str, customers: Some[str]) -> QueuedMessage | None:
        """The latest message of these customers that went to the address."""
        found = await self.questions.find(
            {"customer": {"$in": sorted(customers)}, "contact": contact},
            sort=[("turn", -1)],
            limit=1,
        )
        return msgspec.convert(found[0], QueuedMessage) if found else None

    async def count_open(self) -> int:
        """How many messages have no outcome yet."""
        return await self.questions.count({"due": {"$gt": CLOSED}})

    async def settled(self, campaign: str, occurrence: str, size: int) -> bool:
        """Whether so many messages of the occurrence are known, and none of them is open."""
        open_one = {"campaign": campaign, "occurrence": occurrence, "due": {"$gt": CLOSED}}
        if await self.questions.count(open_one, limit=1):
            return False
        return await self.questions.count({**open_one, "due": CLOSED}) >= size

    async def page(self, search: Search, before: str | None, limit: int) -> Sequence[QueuedMessage]:
        """Messages, the latest first, one more than the limit where there is more."""
        where = search.filter()
        if before is not None:
            where["turn"] = {"$lt": before}
        found = await self.questions.find(where, sort=[("turn", -1)], limit=limit + 1)
        return [msgspec.convert(raw, QueuedMessage) for raw in found]
