"""The catalogue over HTTP: products one by one or a thousand at a time, and the tree above them.

It belongs to the whole chain: a key of some branches reads it and changes none of it. What is there
already is changed by naming its ETag; a batch is what another system keeps, and names none.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, TypeAdapter

from services.interaction.api.product_inputs import (
    CatalogueChanged,
    InPath,
    ProductHistory,
    ProductInput,
    ProductItem,
    ProductView,
    changed_view,
    history_item,
    listed_view,
    product_view,
)
from services.interaction.domain.product_categories import CategoryTree
from services.interaction.domain.products import (
    PRODUCTS,
    ArchiveProduct,
    DefineProduct,
    ProductCommand,
    RestoreProduct,
    product_stream,
)
from services.interaction.handlers.incoming.forms import Slug
from services.interaction.handlers.products import Asked, change_product, change_products
from services.interaction.queries.products import Products, Wanted, history_of
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.decider import Refused, not_found
from shared.eventstore import body_hash
from shared.execute import Writer
from shared.http import (
    BatchAnswer,
    CommandId,
    Cursor,
    IfMatch,
    IfMatchUnlessNew,
    Limit,
    MinVersion,
    Page,
    RawItems,
    batch_body,
    batch_response,
    etag,
    in_order,
    page_of,
    parse_items,
    position_of,
    principal,
    until,
)

Reading = Annotated[Principal, Depends(principal(Permission.PRODUCTS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.PRODUCTS_WRITE))]


def hash_of(what: str, body: BaseModel | None = None) -> str:
    """Over what is asked for."""
    return body_hash([what, None if body is None else body.model_dump(mode="json")])


def require_chain(calling: Principal) -> None:
    """Raise `Refused` (403) for a caller of some branches."""
    scope(calling, Kind.PRODUCT).require(None)


@dataclass(frozen=True, slots=True)
class Changing:
    """What every change of a product comes with. Raises `Refused` (403) for some branches."""

    product: InPath
    calling: Writing
    command_id: CommandId
    response: Response

    def __post_init__(self) -> None:
        """Only the chain's own keys change the catalogue."""
        require_chain(self.calling)


Change = Annotated[Changing, Depends()]


@dataclass(frozen=True, slots=True)
class ProductApi:
    """The endpoints below `/v1/products`."""

    writer: Writer
    products: Products
    clock: Clock

    def router(self) -> APIRouter:
        """The routes; an id may hold a slash, so the longer ones come first."""
        router = APIRouter(prefix="/v1/products", tags=["products"])
        add = router.add_api_route
        add("", self.page, methods=["GET"])
        add(
            "/batch",
            self.define_batch,
            methods=["POST"],
            response_model=BatchAnswer,
            openapi_extra=batch_body(_ITEM),
        )
        add("/{product:path}/history", self.history, methods=["GET"])
        add("/{product:path}/archive", self.archive, methods=["POST"])
        add("/{product:path}/restore", self.restore, methods=["POST"])
        add("/{product:path}", self.get, methods=["GET"])
        add("/{product:path}", self.define, methods=["PUT"])
        return router

    async def page(
        self,
        _calling: Reading,
        category: Annotated[Slug | None, Query(description="it, or one below it")] = None,
        title: Annotated[
            str | None,
            Query(min_length=1, max_length=40, description="how one of its words goes on"),
        ] = None,
        *,
        archived: bool = False,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[ProductView]:
        """Products by id: those of a category and all below it, those with a title of that kind."""
        wanted = Wanted(category=category, title=title, archived=archived)
        found = await self.products.page(wanted, position_of(cursor, str), limit)
        tree = await self.products.categories.fresh()
        page = page_of(found, limit, lambda each: each.sort)
        return Page[ProductView](
            items=[
                listed_view(each, each.versions.get(product_stream(each.id), 0), tree)
                for each in page.items
            ],
            next_cursor=page.next_cursor,
        )

    async def get(
        self,
        product: InPath,
        _calling: Reading,
        response: Response,
        min_version: MinVersion = None,
    ) -> ProductView:
        """One product; `min_version` also waits for the list and for what receipts look up."""
        if min_version is not None:
            await until(lambda: self._listed(product, min_version))
        state, _ = await self.writer.state(PRODUCTS, product_stream(product))
        if state.definition is None:
            raise not_found("product", product)
        response.headers["ETag"] = etag(state.version)
        return product_view(state, state.definition, await self.products.categories.fresh())

    async def history(self, product: InPath, _calling: Reading) -> ProductHistory:
        """All that happened to a product in the catalogue, and what it changed."""
        told = await history_of(self.writer, product)
        if not told:
            raise not_found("product", product)
        return ProductHistory(items=[history_item(each) for each in told])

    async def define(
        self, body: ProductInput, change: Change, rests_on: IfMatchUnlessNew
    ) -> CatalogueChanged:
        """Give a product its (new) definition; what is the same already changes nothing."""
        product = change.product
        command = DefineProduct(
            body.definition(product),
            category_lives=_lives(await self.products.categories.fresh(), body.category),
            at=self.clock.now(),
            rests_on=rests_on,
        )
        return await self._carry_out(change, command, hash_of(f"products/{product}", body))

    async def define_batch(
        self, items: RawItems, calling: Writing, command_id: CommandId
    ) -> Response:
        """Give up to 1,000 products their (new) definitions; each has an outcome of its own."""
        require_chain(calling)
        tree, now = await self.products.categories.fresh(), self.clock.now()
        parsed = parse_items(_ITEM, items)
        asked = [
            Asked(
                f"{command_id}|{index}",
                hash_of(f"products/{item.id}", item),
                DefineProduct(item.definition(item.id), _lives(tree, item.category), now),
            )
            for index, item in enumerate(parsed)
            if not isinstance(item, Refused)
        ]
        return batch_response(in_order(parsed, await change_products(self.writer, asked)))

    async def archive(self, change: Change, match: IfMatch) -> CatalogueChanged:
        """It is not sold any more: it is found in old receipts, and not recommended."""
        command = ArchiveProduct(change.product, self.clock.now(), match.require_of)
        what = hash_of(f"products/{change.product}/archive")
        return await self._carry_out(change, command, what)

    async def restore(self, change: Change, match: IfMatch) -> CatalogueChanged:
        """It is sold again."""
        command = RestoreProduct(change.product, self.clock.now(), match.require_of)
        what = hash_of(f"products/{change.product}/restore")
        return await self._carry_out(change, command, what)

    async def _carry_out(
        self, change: Changing, command: ProductCommand, asked_hash: str
    ) -> CatalogueChanged:
        done = await change_product(self.writer, Asked(change.command_id, asked_hash, command))
        return changed_view(change.product, done.version, done, change.response)

    async def _listed(self, product: str, version: int) -> bool:
        return await self.products.version(product) >= version


_ITEM: TypeAdapter[ProductItem] = TypeAdapter(ProductItem)


def _lives(tree: CategoryTree, category: str | None) -> bool:
    return category is not None and tree.lives(category)
