"""What is asked of purchases after campaigns: sums over customers, each person once.

A record that was merged into another has its purchases there: what was decided for it is joined
with them, and the person counts as one customer. Nearly nobody is merged, so all others are summed
by the database.
"""

from collections.abc import Collection as Some
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from services.notify.domain.effect import Bought, bought, joined
from services.notify.domain.uplift import Group
from services.notify.projections import CustomerEffects
from services.notify.projections.effects import windows_of
from shared.readmodel import RawDocument

MOST_MERGES = 100
"""A chain of merges that is longer is none."""
_LAST = "\U0010ffff"

Key = tuple[str, str, str | None, bool]
"""Campaign, arm, variant (None: all of them), and whether to be compared by."""


class EffectSums(Protocol):
    """A collection of which documents and sums are asked."""

    async def find(self, where: Mapping[str, Any]) -> list[RawDocument]:
        """The documents that match."""
        ...

    async def aggregate(self, pipeline: Sequence[Mapping[str, Any]]) -> list[RawDocument]:
        """The whole result of a pipeline."""
        ...


@dataclass(frozen=True, slots=True)
class Effect:
    """What an arm of a campaign, or one of its variants, has brought; all customers or none."""

    groups: Mapping[Key, Group]

    def all(self, campaign: str, arm: str, variant: str | None = None) -> Group:
        """Everybody, also who cannot be compared."""
        return _together(
            self.groups.get((campaign, arm, variant, comparable), Group())
            for comparable in (True, False)
        )

    def comparable(self, campaign: str, arm: str, variant: str | None = None) -> Group:
        """Those who tell something of a difference."""
        return self.groups.get((campaign, arm, variant, True), Group())


@dataclass(frozen=True, slots=True)
class Effects:
    """Questions to what customers bought."""

    collection: EffectSums

    async def of(self, campaigns: Some[str]) -> Effect:
        """What the campaigns have brought."""
        wanted = {"$in": sorted(campaigns)}
        persons, apart = await self._merged(wanted)
        groups: dict[Key, Group] = {}
        for each in (one for person in persons for one in person):
            if each.campaign in set(campaigns):
                _add(groups, _key(each), _alone(each))
        where: dict[str, Any] = {"effects.campaign": wanted}
        if apart:
            where["_id"] = {"$nin": sorted(apart)}
        rows = await self.collection.aggregate(
            [
                {"$match": where},
                {"$unwind": "$effects"},
                {"$match": {"effects.campaign": wanted}},
                {
                    "$group": {
                        "_id": {
                            "campaign": "$effects.campaign",
                            "arm": "$effects.arm",
                            "variant": "$effects.variant",
                            "comparable": "$effects.comparable",
                        },
                        "customers": {"$sum": 1},
                        "buyers": {"$sum": "$effects.buyer"},
                        "receipts": {"$sum": "$effects.receipts"},
                        "turnover": {"$sum": "$effects.turnover"},
                        "squares": {"$sum": "$effects.square"},
                    }
                },
            ]
        )
        for row in rows:
            by = row.pop("_id")
            key = (by["campaign"], by["arm"], by["variant"] or None, bool(by["comparable"]))
            _add(groups, key, Group(**row))
        return Effect(groups)

    async def _merged(
        self, campaigns: Mapping[str, Any]
    ) -> tuple[Sequence[Sequence[Bought]], set[str]]:
        """What persons of several records bought, and the records that this is of."""
        losers = await self._load(
            {"survivor": {"$gt": "", "$lt": _LAST}, "effects.campaign": campaigns}
        )
        known = dict(losers)
        for _ in range(MOST_MERGES):
            missing = {each.survivor for each in known.values() if each.survivor} - known.keys()
            if not missing:
                break
            found = await self._load({"_id": {"$in": sorted(missing)}})
            # One of whom nothing was told yet but that others were merged into it.
            known |= {name: found.get(name) or CustomerEffects(id=name) for name in missing}
        families: dict[str, set[str]] = {}
        for name in losers:
            chain = _chain(name, known)
            families.setdefault(chain[-1], set()).update(chain)
        return (
            [_person([known[name] for name in sorted(family)]) for family in families.values()],
            set().union(*families.values()),
        )

    async def _load(self, where: Mapping[str, Any]) -> dict[str, CustomerEffects]:
        found = await self.collection.find(where)
        return {raw["_id"]: msgspec.convert(raw, CustomerEffects) for raw in found}


def _chain(name: str, known: Mapping[str, CustomerEffects]) -> list[str]:
    """The records from one to the one that it is now."""
    chain = [name]
    while (survivor := known[chain[-1]].survivor) and survivor in known and survivor not in chain:
        chain.append(survivor)
    return chain


def _person(records: Sequence[CustomerEffects]) -> Sequence[Bought]:
    windows = [window for each in records for window in windows_of(each.decided)]
    return bought(windows, joined([each.purchases for each in records]))


def _key(each: Bought) -> Key:
    return each.campaign, each.arm, each.variant, each.comparable


def _alone(each: Bought) -> Group:
    square = float(each.turnover) ** 2
    return Group(1, int(each.receipts > 0), each.receipts, each.turnover, square)


def _add(groups: dict[Key, Group], key: Key, more: Group) -> None:
    groups[key] = _together([groups.get(key, Group()), more])


def _together(groups: Iterable[Group]) -> Group:
    found = list(groups)
    return Group(
        sum(each.customers for each in found),
        sum(each.buyers for each in found),
        sum(each.receipts for each in found),
        sum(each.turnover for each in found),
        sum(each.squares for each in found),
    )
