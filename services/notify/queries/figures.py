"""What is asked of the figures of campaigns: sums over their messages."""

from collections.abc import Collection as Some
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from shared.readmodel import RawDocument

Breakdown = Literal["variant", "day"]
_PEOPLE = ("reached", "opened", "clicked", "left")
_COUNTED = (
    *("delivered", "bounced", "complained", "fell_back", "opens", "clicks", "segments", "cost"),
    *_PEOPLE,
)
_BY_CHANNEL = (
    *("sent", "failed", "uncertain", "fell_back", "delivered", "bounced", "complained"),
    *("opened", "opens", "clicked", "clicks", "segments", "cost"),
)


class Sums(Protocol):
    """A collection of which sums are asked."""

    async def aggregate(self, pipeline: Sequence[Mapping[str, Any]]) -> list[RawDocument]:
        """The whole result of a pipeline."""
        ...


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The messages of a campaign by what became of them; each is in exactly one."""

    open: int = 0
    sent: int = 0
    held_out: int = 0
    failed: int = 0
    uncertain: int = 0
    suppressed: Mapping[str, int] = field(default_factory=dict)

    @property
    def scheduled(self) -> int:
        """All of them."""
        counted = self.open + self.sent + self.held_out + self.failed + self.uncertain
        return counted + sum(self.suppressed.values())


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of messages that went out; of `people`, each customer counts once.

    `opened`, `clicked` and `left` count messages, `opens` and `clicks` how often; `segments` are
    those of SMS, `cost` is in minor units.
    """

    delivered: int = 0
    bounced: int = 0
    complained: int = 0
    fell_back: int = 0
    opened: int = 0
    opens: int = 0
    clicked: int = 0
    clicks: int = 0
    left: int = 0
    segments: int = 0
    cost: int = 0
    people: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(_PEOPLE, 0))


@dataclass(frozen=True, slots=True)
class Part:
    """The figures of a part of a campaign's messages; `key` is its variant or day."""

    key: str | None
    outcomes: Outcomes
    told: Told


@dataclass(frozen=True, slots=True)
class Figures:
    """Questions to what became of the messages."""

    collection: Sums

    async def of(self, campaigns: Some[str]) -> Mapping[str, Outcomes]:
        """The outcomes of the campaigns; one without messages is left out."""
        return await self._outcomes({"campaign": {"$in": sorted(campaigns)}}, "campaign")

    async def told(self, campaigns: Some[str]) -> Mapping[str, Told]:
        """What was told of the messages of the campaigns."""
        return await self._told({"campaign": {"$in": sorted(campaigns)}}, "campaign")

    async def whole(self, campaign: str) -> Part:
        """The figures of one campaign."""
        outcomes, told = await self.of([campaign]), await self.told([campaign])
        return Part(None, outcomes.get(campaign, Outcomes()), told.get(campaign, Told()))

    async def parts(self, campaign: str, by: Breakdown) -> Sequence[Part]:
        """The figures of one campaign by variant or by the day of the outcome, in their order.

        Messages without a variant are not of any, and are left out of the first.
        """
        where = {"campaign": campaign}
        outcomes, told = await self._outcomes(where, by), await self._told(where, by)
        return [Part(key, outcomes[key], told.get(key, Told())) for key in sorted(outcomes) if key]

    async def channels(self, campaign: str) -> Mapping[str, dict[str, int]]:
        """Channel → what became of what was handed to it."""
        rows = await self.collection.aggregate(
            [
                {"$match": {"campaign": campaign}},
                {"$unwind": "$ways"},
                {
                    "$group": {
                        "_id": "$ways.channel",
                        **{name: {"$sum": f"$ways.{name}"} for name in _BY_CHANNEL},
                    }
                },
            ]
        )
        return {
            row["_id"]: {name: row[name] for name in _BY_CHANNEL}
            for row in sorted(rows, key=lambda row: str(row["_id"]))
        }

    async def links(self, campaign: str) -> Mapping[str, int]:
        """Link → how often it was followed, the most followed first."""
        rows = await self.collection.aggregate(
            [
                {"$match": {"campaign": campaign, "clicked": 1}},
                {"$unwind": "$links"},
                {"$group": {"_id": "$links.link", "times": {"$sum": "$links.times"}}},
            ]
        )
        ordered = sorted(rows, key=lambda row: (-row["times"], row["_id"]))
        return {row["_id"]: row["times"] for row in ordered}

    async def _outcomes(self, where: Mapping[str, Any], by: str) -> Mapping[str, Outcomes]:
        group = {"key": f"${by}", "outcome": "$outcome", "reason": "$reason"}
        rows = await self.collection.aggregate(
            [{"$match": where}, {"$group": {"_id": group, "count": {"$sum": 1}}}]
        )
        counts: dict[str, dict[str, int]] = {}
        reasons: dict[str, dict[str, int]] = {}
        for row in rows:
            # What has its default is not stored, and so is not there.
            key, outcome = row["_id"].get("key") or "", row["_id"].get("outcome") or "open"
            counted = counts.setdefault(key, {})
            if outcome == "suppressed":
                reason = row["_id"].get("reason") or "unknown"
                reasons.setdefault(key, {})[reason] = row["count"]
            else:
                counted[outcome] = counted.get(outcome, 0) + row["count"]
        return {
            key: Outcomes(**counted, suppressed=dict(sorted(reasons.get(key, {}).items())))
            for key, counted in counts.items()
        }

    async def _told(self, where: Mapping[str, Any], by: str) -> Mapping[str, Told]:
        rows = await self.collection.aggregate(
            [
                {"$match": where},
                {
                    "$group": {
                        "_id": {"key": f"${by}", "customer": "$customer"},
                        **{name: {"$sum": f"${name}"} for name in _COUNTED},
                        **{f"any_{name}": {"$max": f"${name}"} for name in _PEOPLE},
                    }
                },
                {
                    "$group": {
                        "_id": "$_id.key",
                        **{name: {"$sum": f"${name}"} for name in _COUNTED},
                        **{f"any_{name}": {"$sum": f"$any_{name}"} for name in _PEOPLE},
                    }
                },
            ]
        )
        return {
            row["_id"] or "": Told(
                **{name: row[name] for name in _COUNTED if name != "reached"},
                people={name: row[f"any_{name}"] for name in _PEOPLE},
            )
            for row in rows
        }
