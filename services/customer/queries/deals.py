"""The read side of deals; the only file with filters of theirs.

All figures are sums over the documents of deals, made by the database in whole minor units.
Probabilities multiply those sums in Python, whose whole numbers have no end; what is weighted is
rounded once, half up, at the very end, so a total may differ by some units from the sum of its
rounded parts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from services.customer.domain.pipeline import CERTAIN, Pipelines
from services.customer.projections.deals import DealDocument
from shared.access import Scope
from shared.events.contract import Path
from shared.keyring import ERASED, Keyring, key_ids, unseal
from shared.mongo import Collection
from shared.readmodel import RawDocument

PERSONAL: tuple[Path, ...] = (("words", "title"), ("words", "comment"), ("lost_comment",))
BEYOND = "\U0010ffff"
"""Behind every text that is looked for."""
Grouping = Literal["month", "responsible", "branch"]
_FIELDS: Mapping[Grouping, str] = {
    "month": "$close_month",
    "responsible": "$responsible",
    "branch": "$branch",
}


@dataclass(frozen=True, slots=True)
class Filters:
    """Which deals; None leaves one out."""

    pipeline: str | None = None
    stage: str | None = None
    status: str | None = None
    responsible: str | None = None
    branch: str | None = None
    customer: str | None = None
    company: str | None = None

    def where(self) -> dict[str, Any]:
        """As the database is asked."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Part:
    """The open deals of a group in one stage: how many, and their amounts together."""

    group: str | None
    pipeline: str
    stage: str
    count: int
    amount: int


@dataclass(frozen=True, slots=True)
class Figures:
    """How many deals, their amounts together, and weighted by probability; in minor units."""

    count: int = 0
    amount: int = 0
    weighted: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """Stays in a stage that began in a time: how many went on to `next` (None: are there still).

    `milliseconds` is the length of all of them together; `longest` that of the longest.
    """

    stage: str
    next: str | None
    count: int
    milliseconds: int
    longest: int


@dataclass(frozen=True, slots=True)
class DealList:
    """A page, and where the next one begins (None: nowhere)."""

    deals: list[DealDocument]
    after: str | None


@dataclass(frozen=True, slots=True)
class DealBoard:
    """Questions to the deals."""

    collection: Collection
    keyring: Keyring

    async def get(self, deal: str) -> DealDocument | None:
        """One deal."""
        raw = await self.collection.get(deal)
        return None if raw is None else (await self._opened([raw]))[0]

    async def version(self, deal: str, stream: str) -> int:
        """The version of one of the deal's streams that can be seen."""
        raw = await self.collection.get(deal)
        return 0 if raw is None else raw["versions"].get(stream, 0)

    async def page(self, scope: Scope, filters: Filters, after: str | None, limit: int) -> DealList:
        """Deals of the scope, the oldest first, from `after` on."""
        where = self.page_filter(scope, filters, after)
        found = await self.collection.find(where, sort=[("turn", 1)], limit=limit + 1)
        deals = await self._opened(found[:limit])
        return DealList(deals, deals[-1].turn if len(found) > limit else None)

    @staticmethod
    def page_filter(scope: Scope, filters: Filters, after: str | None) -> dict[str, Any]:
        """As the database is asked for a page."""
        # Ranges are bounded at both ends: SecantusDB scans a collection for an open one.
        return {**narrowed(scope, filters.where()), "turn": {"$gt": after or "", "$lt": BEYOND}}

    async def open_in(self, scope: Scope, pipeline: str) -> Sequence[Part]:
        """The open deals of a pipeline, by stage."""
        return await self._parts(scope, {"pipeline": pipeline}, None)

    async def forecast(
        self, scope: Scope, by: Grouping, pipeline: str | None, until: str | None
    ) -> Sequence[Part]:
        """The open deals by group and stage; `until` is the last month, `YYYY-MM`."""
        where: dict[str, Any] = {} if pipeline is None else {"pipeline": pipeline}
        if until is not None:
            where["close_month"] = {"$gte": "", "$lte": until}
        return await self._parts(scope, where, _FIELDS[by])

    async def _parts(
        self, scope: Scope, where: Mapping[str, Any], field: str | None
    ) -> Sequence[Part]:
        group = {"pipeline": "$pipeline", "stage": "$stage"}
        if field is not None:
            group["group"] = field
        rows = await self.collection.aggregate(
            [
                {"$match": narrowed(scope, {"status": "open", **where})},
                {
                    "$group": {
                        "_id": group,
                        "count": {"$sum": 1},
                        "amount": {"$sum": "$terms.amount"},
                    }
                },
            ]
        )
        return [
            Part(
                row["_id"].get("group"),
                row["_id"]["pipeline"],
                row["_id"]["stage"],
                row["count"],
                row["amount"],
            )
            for row in rows
        ]

    async def passages(
        self, scope: Scope, pipeline: str, begin: datetime, end: datetime
    ) -> Sequence[Passage]:
        """What became of the stays that began in `[begin, end)`, by stage and what followed."""
        between = {"$gte": begin, "$lt": end}
        rows = await self.collection.aggregate(
            [
                {
                    "$match": narrowed(
                        scope,
                        {"pipeline": pipeline, "stays": {"$elemMatch": {"entered": between}}},
                    )
                },
                {"$project": {"stays": 1}},
                {"$unwind": "$stays"},
                {"$match": {"stays.entered": between}},
                {
                    "$group": {
                        "_id": {"stage": "$stays.stage", "next": "$stays.next"},
                        "count": {"$sum": 1},
                        "milliseconds": {"$sum": "$stays.milliseconds"},
                        "longest": {"$max": "$stays.milliseconds"},
                    }
                },
            ]
        )
        return [
            Passage(
                row["_id"]["stage"],
                row["_id"].get("next"),
                row["count"],
                row["milliseconds"],
                row["longest"] or 0,
            )
            for row in rows
        ]

    async def _opened(self, raws: Sequence[RawDocument]) -> list[DealDocument]:
        """The documents with their texts in the clear; those of who was erased are absent."""
        # What a company's deal says is in the clear: a token in it was typed by somebody.
        sealed = [raw for raw in raws if raw["company"] is None]
        wanted = {key for raw in sealed for key in key_ids(raw, PERSONAL)}
        if wanted:
            keys = await self.keyring.get(wanted)
            erased, nobodys = await self._erased(sealed), dict.fromkeys(wanted, ERASED)
            for raw in sealed:
                unseal(raw, PERSONAL, nobodys if raw["customer"] in erased else keys)
        return [msgspec.convert(raw, DealDocument) for raw in raws]

    async def _erased(self, raws: Sequence[RawDocument]) -> set[str]:
        """Customers who are erased, of those deals that hold texts sealed with another's key.

        Such a text was written while two were merged who have parted since.
        """
        customers = {raw["customer"] for raw in raws if key_ids(raw, PERSONAL) - {raw["customer"]}}
        return set(await self.keyring.erased(customers)) if customers else set()


def narrowed(scope: Scope, where: Mapping[str, Any]) -> dict[str, Any]:
    """The filter, for the deals of a scope's branches only."""
    if scope.branches is None:
        return dict(where)
    branches = scope.branches
    if "branch" in where:
        branches = branches & {where["branch"]}
    return {**where, "branch": {"$in": sorted(branches)}}


def figures(parts: Iterable[Part], pipelines: Pipelines) -> Figures:
    """The parts together."""
    count = amount = weighted = 0
    for part in parts:
        count += part.count
        amount += part.amount
        weighted += part.amount * pipelines.probability(part.pipeline, part.stage)
    return Figures(count, amount, rounded(weighted))


def rounded(weighted: int) -> int:
    """Minor units of a sum of amount × hundredths of a percent, half a unit up."""
    return (2 * weighted + CERTAIN) // (2 * CERTAIN)
