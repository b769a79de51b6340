"""What is asked of those who can be reached, and of where branches are."""

from collections.abc import Collection as Some
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from services.notify.projections import RECIPIENTS, Recipient
from shared.readmodel import Questions


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

    async def holding(self, hashes: Some[str]) -> Sequence[Recipient]:
        """Those who have one of the addresses."""
        found = await self.questions.find({"contacts.hash": {"$in": sorted(hashes)}})
        return [msgspec.convert(raw, Recipient) for raw in found]

    async def with_days(self, keys: Some[str], after: str, limit: int) -> Sequence[Recipient]:
        """Those with one of the days of the year (`day_key`) by id, after one (`""`: the first)."""
        found = await self.questions.find(
            {"days": {"$in": sorted(keys)}, "_id": {"$gt": after}}, sort=[("_id", 1)], limit=limit
        )
        return [msgspec.convert(raw, Recipient) for raw in found]

    async def count_members(self, segment: str) -> int:
        """How many are in the segment now."""
        return await self.questions.count({"memberships.segment": segment})

    async def count_listed(self, name: str) -> int:
        """How many are on the list now."""
        return await self.questions.count({"lists": name})

    async def members(self, segment: str, after: str, limit: int) -> Sequence[str]:
        """Who is in the segment now: customers by id, after one of them (`""`: from the first)."""
        found = await self.questions.find(
            {"memberships.segment": segment, "_id": {"$gt": after}},
            fields={"_id": 1},
            sort=[("_id", 1)],
            limit=limit,
        )
        return [raw["_id"] for raw in found]

    async def listed(self, name: str, after: str, limit: int) -> Sequence[str]:
        """Who is on the list now, in the same way."""
        found = await self.questions.find(
            {"lists": name, "_id": {"$gt": after}},
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
