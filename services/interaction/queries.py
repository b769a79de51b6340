"""The read side of interactions; the only file with filters."""

from collections.abc import Collection as Several
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from services.interaction.domain import IMPORT_STREAM, IMPORTS, Import, import_stream_of, stream_of
from services.interaction.projections import (
    CustomerTotals,
    Identifiers,
    lives_on,
    own_id,
    owners_of,
)
from shared.access import Scope
from shared.execute import Writer
from shared.mongo import Collection


@dataclass(frozen=True, slots=True)
class Customers:
    """Whom identifiers find."""

    collection: Collection

    async def owners(self, ids: Several[str]) -> Mapping[str, str]:
        """The customer of each `<kind>|<hash>` (or `customer|<id>`) that finds one.

        One query, and one more for each step from who was merged to who lives on.
        """
        if not ids:
            return {}
        wanted = frozenset(ids)
        found = await self._find({"entries.id": {"$in": sorted(wanted)}})
        survivors: dict[str, str] = {}
        asked = found
        while merged := {each.id: each.merged for each in asked if each.merged is not None}:
            survivors |= merged
            unknown = set(merged.values()) - survivors.keys()
            asked = await self._find({"_id": {"$in": sorted(unknown)}}) if unknown else []
        return {
            entry: living
            for entry, owner in owners_of(found, wanted).items()
            if (living := lives_on(owner, survivors)) is not None
        }

    async def _find(self, where: Mapping[str, Any]) -> list[Identifiers]:
        found = await self.collection.find(where, fields={"entries": 1, "merged": 1})
        return [msgspec.convert(raw, Identifiers) for raw in found]

    async def exists(self, customer: str) -> bool:
        """Whether there is such a customer."""
        return bool(await self.owners([own_id(customer)]))


@dataclass(frozen=True, slots=True)
class ChainTotals:
    """Sums over customers; `turnover` in minor units."""

    customers: int
    receipts: int
    turnover: int


@dataclass(frozen=True, slots=True)
class BranchFigures:
    """Sums of one branch; `turnover` in minor units."""

    branch: str
    customers: int
    receipts: int
    turnover: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """What customers have spent, at the branches of a scope."""

    collection: Collection

    async def get(self, customer: str) -> CustomerTotals | None:
        """The totals of one customer at all branches; None without any receipt."""
        raw = await self.collection.get(customer)
        return None if raw is None else msgspec.convert(raw, CustomerTotals)

    async def version(self, customer: str) -> int:
        """The version of the customer's stream that the totals have."""
        totals = await self.get(customer)
        return 0 if totals is None else totals.versions.get(stream_of(customer), 0)

    async def chain(self, scope: Scope) -> ChainTotals:
        """The sums over all customers."""
        per_customer: list[Mapping[str, Any]] = []
        if not scope.everything:
            per_customer = [
                *_branches(scope),
                {
                    "$group": {
                        "_id": "$_id",
                        "receipts": {"$sum": "$branches.receipts"},
                        "spent": {"$sum": "$branches.spent"},
                    }
                },
            ]
        found = await self.collection.aggregate(
            [*per_customer, {"$group": {"_id": None, **_sums("")}}]
        )
        if not found:
            return ChainTotals(0, 0, 0)
        (sums,) = found
        return ChainTotals(sums["customers"], sums["receipts"], sums["turnover"])

    async def branches(self, scope: Scope) -> Sequence[BranchFigures]:
        """The sums of each branch, by its name."""
        found = await self.collection.aggregate(
            [
                *_branches(scope),
                {
                    "$group": {
                        "_id": "$branches.branch",
                        **_sums("branches."),
                        "first": {"$min": "$branches.first"},
                        "last": {"$max": "$branches.last"},
                    }
                },
                {"$sort": {"_id": 1}},
            ]
        )
        return [
            BranchFigures(
                branch=sums["_id"],
                customers=sums["customers"],
                receipts=sums["receipts"],
                turnover=sums["turnover"],
                first=sums["first"],
                last=sums["last"],
            )
            for sums in found
        ]


def _branches(scope: Scope) -> Sequence[Mapping[str, Any]]:
    """Stages that give a document per customer and branch, those of the scope only."""
    unwind = {"$unwind": "$branches"}
    if scope.branches is None:
        return [unwind]
    within = {"$match": {"branches.branch": {"$in": sorted(scope.branches)}}}
    return [within, unwind, within]


def _sums(place: str) -> Mapping[str, Any]:
    return {
        "customers": {"$sum": 1},
        "receipts": {"$sum": f"${place}receipts"},
        "turnover": {"$sum": f"${place}spent"},
    }


@dataclass(frozen=True, slots=True)
class KnownImport:
    """An import with its id and the version of its stream."""

    id: str
    state: Import
    version: int


@dataclass(frozen=True, slots=True)
class Imports:
    """Imports, from their own streams.

    Ended ones never change again and are remembered, so that to look for open ones stays cheap.
    """

    writer: Writer
    _ended: set[str] = field(default_factory=set)

    async def get(self, import_id: str) -> KnownImport | None:
        """One import; None when it was never begun."""
        state, version = await self.writer.state(IMPORTS, import_stream_of(import_id))
        return KnownImport(import_id, state, version) if state.begun else None

    async def after(self, import_id: str | None, limit: int) -> Sequence[KnownImport]:
        """Imports by id, from the one after this on."""
        names = await self.writer.store.names(IMPORT_STREAM)
        after = "" if import_id is None else import_stream_of(import_id)
        return await self._folded([name for name in names if name > after][:limit])

    async def open(self) -> Sequence[str]:
        """The ids of those that were begun and have not ended."""
        names = await self.writer.store.names(IMPORT_STREAM)
        folded = await self._folded([name for name in names if name not in self._ended])
        self._ended.update(import_stream_of(each.id) for each in folded if not each.state.open)
        return [each.id for each in folded if each.state.open]

    async def _folded(self, streams: Sequence[str]) -> Sequence[KnownImport]:
        histories = await self.writer.histories(streams) if streams else {}
        return [
            KnownImport(stream.removeprefix(IMPORT_STREAM), IMPORTS.fold(events), head.version)
            for stream in streams
            if stream in histories
            for events, head in [histories[stream]]
        ]
