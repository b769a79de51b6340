"""The read side of the catalogue: pages of it, and what the recording of receipts looks up.

The look-up stands in the way of every receipt: it asks once per batch, only for what it has not
seen in the last seconds, and not at all of a chain that keeps no catalogue.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from services.interaction.domain.product_categories import CategoryTree
from services.interaction.domain.products import PRODUCTS, Product, product_stream
from services.interaction.projections.products import (
    ARCHIVED,
    LIVING,
    ProductDocument,
    searched,
)
from services.interaction.queries.product_categories import CategoryBook
from shared.envelope import decode
from shared.events import EVENT_TYPES
from shared.events.contract import EventData
from shared.execute import Writer
from shared.readmodel import Questions

LAST = "\U0010ffff"
REMEMBERED_SECONDS = 3.0
MOST_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class ProductSnapshot:
    """What is true of a product now; `cost` of one, in minor units; `path` from the root down."""

    category: str | None
    path: tuple[str, ...]
    cost: int | None
    titles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which products; None leaves one out. `title` is how a title goes on from one of its words."""

    category: str | None = None
    title: str | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a product: its data, the version after it, and when it happened."""

    data: EventData
    version: int
    time: datetime
    before: Product


@dataclass(slots=True)
class Products:
    """Questions to the catalogue. They raise `StoreUnavailable`."""

    collection: Questions
    categories: CategoryBook
    _remembered: dict[str, ProductSnapshot | None] = field(default_factory=dict)
    _since: float = float("-inf")
    _kept: bool = False

    async def of(self, products: Collection[str]) -> Mapping[str, ProductSnapshot]:
        """What is true of each of the products that the catalogue has, archived ones too.

        One query for all that was not asked for in the last seconds (`REMEMBERED_SECONDS`); that
        one is not there is remembered as well. Just after a change the catalogue may still give
        what was true a moment before.
        """
        known = self._known_now()
        if not await self._any(known):
            return {}
        if unknown := [each for each in dict.fromkeys(products) if each not in known]:
            found = await self.find(unknown)
            tree = await self.categories.fresh() if found else CategoryTree()
            for name in unknown:
                document = found.get(name)
                known[name] = None if document is None else _snapshot(document, tree)
        asked = {name: known.get(name) for name in products}
        return {name: snapshot for name, snapshot in asked.items() if snapshot is not None}

    async def find(self, products: Collection[str]) -> Mapping[str, ProductDocument]:
        """Those of the products that there are, as they are listed."""
        raws = await self.collection.find({"_id": {"$in": sorted(products)}})
        return {raw["_id"]: msgspec.convert(raw, ProductDocument) for raw in raws}

    async def page(
        self, wanted: Wanted, after: str | None, limit: int
    ) -> Sequence[ProductDocument]:
        """Products by id from `after` on (a `sort`), one more than the limit if there is more."""
        shelf = ARCHIVED if wanted.archived else LIVING
        where: dict[str, Any] = {"sort": {"$gt": max(after or "", shelf), "$lt": shelf + LAST}}
        if wanted.category is not None:
            tree = await self.categories.fresh()
            where["category"] = {"$in": sorted(tree.below(wanted.category))}
        if wanted.title is not None:
            beginning = searched(wanted.title)
            # Of several names, one has to be within both bounds.
            where["names"] = {"$elemMatch": {"$gte": beginning, "$lt": beginning + LAST}}
        raws = await self.collection.find(where, sort=[("sort", 1)], limit=limit + 1)
        return [msgspec.convert(raw, ProductDocument) for raw in raws]

    async def version(self, product: str) -> int:
        """The version of the product that the list has."""
        document = (await self.find([product])).get(product)
        return 0 if document is None else document.versions.get(product_stream(product), 0)

    def _known_now(self) -> dict[str, ProductSnapshot | None]:
        """What is remembered; all is forgotten every few seconds, and when it is too much."""
        now = asyncio.get_running_loop().time()
        if now - self._since > REMEMBERED_SECONDS or len(self._remembered) > MOST_REMEMBERED:
            # A new one: whoever is waiting for an answer goes on with the old one.
            self._remembered, self._since = {}, now
        return self._remembered

    async def _any(self, known: dict[str, ProductSnapshot | None]) -> bool:
        """Whether there is a catalogue, asked until there is one, and every few seconds at most."""
        if not self._kept and _NOTHING not in known:
            self._kept = bool(await self.collection.find({}, fields={"_id": 1}, limit=1))
            known[_NOTHING] = None
        return self._kept


_NOTHING = ""
"""No id of a product: remembered where there is no product at all."""


def _snapshot(document: ProductDocument, tree: CategoryTree) -> ProductSnapshot:
    category = document.category
    path = () if category is None else tree.path(category)
    return ProductSnapshot(category, path, document.cost, document.titles)


async def history_of(writer: Writer, product: str) -> Sequence[Told]:
    """All that happened to a product in the catalogue, in order; empty for an unknown one."""
    stream = product_stream(product)
    told: list[Told] = []
    state = PRODUCTS.initial()
    for commit in (await writer.store.read([stream])).get(stream, ()):
        for text in commit.events:
            envelope = decode(text)
            data = EVENT_TYPES[envelope.type].model_validate_json(bytes(envelope.data))
            at = datetime.fromisoformat(envelope.time)
            told.append(Told(data, envelope.streamversion, at, state))
            state = PRODUCTS.evolve(state, data)
    return told
