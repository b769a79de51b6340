"""The read side of notify; the only file with filters."""

from collections.abc import Collection as Some
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

import msgspec

from services.notify.domain import Stage
from services.notify.projections import RECIPIENTS, QueuedMessage, Recipient
from services.notify.projections.queue import CLOSED, WAITING, turn_of
from shared.events.notification import SuppressionReason
from shared.mongo import Collection
from shared.readmodel import Questions

REASONS: tuple[str, ...] = get_args(SuppressionReason)


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

    async def count_open(self) -> int:
        """How many messages have no outcome yet."""
        return await self.questions.count({"due": {"$gt": CLOSED}})

    async def settled(self, campaign: str, occurrence: str, size: int) -> bool:
        """Whether so many messages of the occurrence are known, and none of them is open."""
        open_one = {"campaign": campaign, "occurrence": occurrence, "due": {"$gt": CLOSED}}
        if await self.questions.count(open_one, limit=1):
            return False
        return await self.questions.count({**open_one, "due": CLOSED}) >= size

    async def page(
        self, campaign: str | None, stage: Stage | None, before: str | None, limit: int
    ) -> Sequence[QueuedMessage]:
        """Messages, the latest first, one more than the limit where there is more."""
        where: dict[str, Any] = {}
        if campaign is not None:
            where["campaign"] = campaign
        if stage is not None:
            where["stage"] = stage.value
        if before is not None:
            where["turn"] = {"$lt": before}
        found = await self.questions.find(where, sort=[("turn", -1)], limit=limit + 1)
        return [msgspec.convert(raw, QueuedMessage) for raw in found]


@dataclass(frozen=True, slots=True)
class Recipients:
    """Questions to those who can be reached; `parked` holds the service's parked events."""

    questions: Questions
    parked: Questions

    async def load(self, customers: Some[str]) -> Mapping[str, Recipient]:
        """Those of the customers that are known of."""
        found = await self.questions.find({"_id": {"$in": sorted(customers)}})
        return {raw["_id"]: msgspec.convert(raw, Recipient) for raw in found}

    async def standing_still(self, customers: Some[str]) -> set[str]:
        """Those of the customers of whom an event is parked."""
        keys = [customer.encode() for customer in sorted(customers)]
        found = await self.parked.find(
            {"projection": RECIPIENTS.name, "key": {"$in": keys}}, fields={"key": 1}
        )
        return {raw["key"].decode() for raw in found}

    async def shared(self, hashes: Some[str]) -> set[str]:
        """Those of the addresses that somebody shares with others."""
        wanted = set(hashes)
        found = await self.questions.find(
            {"contacts.hash": {"$in": sorted(wanted)}, "contacts.shared": True},
            fields={"contacts": 1},
        )
        contacts = [each for raw in found for each in raw["contacts"]]
        return {each["hash"] for each in contacts if each.get("shared")} & wanted

    async def with_days(self, keys: Some[str], after: str, limit: int) -> Sequence[Recipient]:
        """Those with one of the days of the year (`day_key`) by id, after one (`""`: the first)."""
        found = await self.questions.find(
            {"days": {"$in": sorted(keys)}, "_id": {"$gt": after}}, sort=[("_id", 1)], limit=limit
        )
        return [msgspec.convert(raw, Recipient) for raw in found]

    async def count_members(self, segment: str) -> int:
        """How many are in the segment now."""
        return await self.questions.count({"memberships.segment": segment})

    async def members(self, segment: str, after: str, limit: int) -> Sequence[str]:
        """Who is in the segment now: customers by id, after one of them (`""`: from the first)."""
        found = await self.questions.find(
            {"memberships.segment": segment, "_id": {"$gt": after}},
            fields={"_id": 1},
            sort=[("_id", 1)],
            limit=limit,
        )
        return [raw["_id"] for raw in found]


@dataclass(frozen=True, slots=True)
class Places:
    """Questions to where branches are."""

    questions: Questions

    async def zones(self) -> Mapping[str, str]:
        """Branch → the name of its zone."""
        return {raw["_id"]: raw["zone"] for raw in await self.questions.find({})}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The figures of a campaign: messages by what became of them."""

    open: int = 0
    sent: int = 0
    held_out: int = 0
    failed: int = 0
    uncertain: int = 0
    suppressed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """Questions to what became of the messages."""

    collection: Collection

    async def of(self, campaigns: Some[str]) -> Mapping[str, Outcomes]:
        """The figures of the campaigns; one without messages is left out."""
        counts = ("open", "sent", "held_out", "failed", "uncertain")
        group: dict[str, Any] = {"_id": "$campaign"}
        group |= {name: {"$sum": f"${name}"} for name in counts}
        group |= {f"suppressed_{name}": {"$sum": f"$suppressed.{name}"} for name in REASONS}
        rows = await self.collection.aggregate(
            [{"$match": {"campaign": {"$in": sorted(campaigns)}}}, {"$group": group}]
        )
        return {
            row["_id"]: Outcomes(
                **{name: row[name] for name in counts},
                suppressed={
                    name: count for name in REASONS if (count := row[f"suppressed_{name}"])
                },
            )
            for row in rows
        }
