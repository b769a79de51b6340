"""The tree of product categories over HTTP."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import TypeAdapter

from services.interaction.api.product_inputs import (
    CatalogueChanged,
    CategoryInput,
    CategoryItem,
    CategoryTreeView,
    CategoryView,
    category_view,
    changed_view,
    tree_view,
)
from services.interaction.api.products import Reading, Writing, hash_of, require_chain
from services.interaction.domain.product_categories import (
    ArchiveCategory,
    CategoryCommand,
    DefineCategory,
    RestoreCategory,
)
from services.interaction.handlers.incoming.forms import Slug
from services.interaction.handlers.products import AskedOfTree, change_categories, change_category
from services.interaction.queries.product_categories import CategoryBook
from shared.clock import Clock
from shared.decider import Refused, not_found
from shared.http import (
    BatchAnswer,
    CommandId,
    IfMatch,
    IfMatchUnlessNew,
    RawItems,
    batch_body,
    batch_response,
    etag,
    in_order,
    parse_items,
)

InPath = Annotated[Slug, Path(description="Its id, for ever the same.")]


@dataclass(frozen=True, slots=True)
class Changing:
    """What every change of a category comes with. Raises `Refused` (403) for some branches."""

    category: InPath
    calling: Writing
    command_id: CommandId
    response: Response

    def __post_init__(self) -> None:
        """Only the chain's own keys change the tree."""
        require_chain(self.calling)

    def asked(self, command: CategoryCommand, asked_hash: str) -> AskedOfTree:
        """The command as it is asked for."""
        return AskedOfTree(self.command_id, asked_hash, command)


Change = Annotated[Changing, Depends()]


@dataclass(frozen=True, slots=True)
class ProductCategoryApi:
    """The endpoints below `/v1/product-categories`."""

    book: CategoryBook
    clock: Clock

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v1/product-categories", tags=["products"])
        add = router.add_api_route
        add("", self.tree, methods=["GET"])
        add(
            "/batch",
            self.define_batch,
            methods=["POST"],
            response_model=BatchAnswer,
            openapi_extra=batch_body(_ITEM),
        )
        add("/{category}", self.get, methods=["GET"])
        add("/{category}", self.define, methods=["PUT"])
        add("/{category}/archive", self.archive, methods=["POST"])
        add("/{category}/restore", self.restore, methods=["POST"])
        return router

    async def tree(self, _calling: Reading, response: Response) -> CategoryTreeView:
        """All categories as a tree, archived ones too."""
        tree = await self.book.fresh()
        response.headers["ETag"] = etag(tree.version)
        return tree_view(tree)

    async def get(self, category: InPath, _calling: Reading, response: Response) -> CategoryView:
        """One category."""
        item = (await self.book.fresh()).items.get(category)
        if item is None:
            raise not_found("product category", category)
        response.headers["ETag"] = etag(item.version)
        return category_view(category, item)

    async def define(
        self, body: CategoryInput, change: Change, rests_on: IfMatchUnlessNew
    ) -> CatalogueChanged:
        """Give a category its (new) definition and its place."""
        name = change.category
        command = DefineCategory(body.definition(name), self.clock.now(), rests_on)
        return await self._carry_out(change, command, hash_of(f"product-categories/{name}", body))

    async def define_batch(
        self, items: RawItems, calling: Writing, command_id: CommandId
    ) -> Response:
        """Give up to 1,000 categories their (new) definitions, in order."""
        require_chain(calling)
        parsed, now = parse_items(_ITEM, items), self.clock.now()
        asked = [
            AskedOfTree(
                f"{command_id}|{index}",
                hash_of(f"product-categories/{item.id}", item),
                DefineCategory(item.definition(item.id), now),
            )
            for index, item in enumerate(parsed)
            if not isinstance(item, Refused)
        ]
        return batch_response(in_order(parsed, await change_categories(self.book, asked)))

    async def archive(self, change: Change, match: IfMatch) -> CatalogueChanged:
        """Let no product be put into it any more; those that are in it stay."""
        command = ArchiveCategory(change.category, self.clock.now(), match.require_of)
        what = f"product-categories/{change.category}/archive"
        return await self._carry_out(change, command, hash_of(what))

    async def restore(self, change: Change, match: IfMatch) -> CatalogueChanged:
        """Let products be put into it again."""
        command = RestoreCategory(change.category, self.clock.now(), match.require_of)
        what = f"product-categories/{change.category}/restore"
        return await self._carry_out(change, command, hash_of(what))

    async def _carry_out(
        self, change: Changing, command: CategoryCommand, asked_hash: str
    ) -> CatalogueChanged:
        done = await change_category(self.book, change.asked(command, asked_hash))
        item = (await self.book.fresh()).items[change.category]
        return changed_view(change.category, item.version, done, change.response)


_ITEM: TypeAdapter[CategoryItem] = TypeAdapter(CategoryItem)
