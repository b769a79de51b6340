"""What callers send of the catalogue, and what they are shown of it."""

from typing import Annotated, Literal

from fastapi import Path, Response
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from services.interaction.domain.product_categories import Category, CategoryTree
from services.interaction.domain.products import Product
from services.interaction.handlers.incoming.forms import LARGEST_AMOUNT, Input, Slug, Text
from services.interaction.projections.products import ProductDocument
from services.interaction.queries.products import Told
from shared.events.contract import EventData, Moment
from shared.events.product import ProductCategoryDefined, ProductDefined
from shared.execute import Done
from shared.http import etag

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$")]
Titles = Annotated[
    dict[Language, Text],
    Field(min_length=1, max_length=20, description="language (BCP 47) → what people read"),
]
RESERVED_ENDINGS = ("/history", "/recommendations", "/archive", "/restore")
"""An id that ends so would have the address of something else."""


def _addressable(product: str) -> str:
    if product.endswith(RESERVED_ENDINGS):
        message = f"should not end in any of {', '.join(RESERVED_ENDINGS)}"
        raise ValueError(message)
    return product


ProductId = Annotated[Text, AfterValidator(_addressable)]
InPath = Annotated[ProductId, Path(description="Its id in receipts.")]
Worth = Annotated[int, Field(strict=True, ge=0, le=LARGEST_AMOUNT)]


class ProductInput(Input):
    """The definition of a product, whole."""

    titles: Titles
    category: Slug | None = Field(default=None, description="id of a product category")
    price: Worth | None = Field(default=None, description="of one, in minor units")
    cost: Worth | None = Field(default=None, description="of one, in minor units")

    def definition(self, product: str) -> ProductDefined:
        """The event that says so."""
        return ProductDefined(
            product=product,
            titles=dict(self.titles),
            category=self.category,
            price=self.price,
            cost=self.cost,
        )


class ProductItem(ProductInput):
    """A product of a batch."""

    id: ProductId


class CategoryInput(Input):
    """The definition of a category, whole."""

    titles: Titles
    parent: Slug | None = Field(default=None, description="id of the category above")

    def definition(self, category: str) -> ProductCategoryDefined:
        """The event that says so."""
        return ProductCategoryDefined(
            category=category, titles=dict(self.titles), parent=self.parent
        )


class CategoryItem(CategoryInput):
    """A category of a batch, after the one that it is put below."""

    id: Slug


class CatalogueChanged(BaseModel):
    """The answer to a change."""

    id: str
    version: int = Field(description="its ETag")
    repeated: bool = Field(description="it was recorded before")


class ProductView(BaseModel):
    """A product; `version` is its ETag."""

    id: str
    version: int
    titles: dict[str, str]
    category: str | None
    path: list[str] = Field(description="ids of its categories, from the root down")
    price: int | None
    cost: int | None
    archived: bool


class ChangeView(BaseModel):
    """What a field was before, and what it became; null for nothing."""

    field: str
    before: bool | int | str | dict[str, str] | None
    after: bool | int | str | dict[str, str] | None


class HistoryItem(BaseModel):
    """What happened to a product in the catalogue."""

    version: int
    time: Moment
    what: Literal["defined", "archived", "restored"]
    changes: list[ChangeView]


class ProductHistory(BaseModel):
    """All that happened to it, the oldest first."""

    items: list[HistoryItem]


class CategoryView(BaseModel):
    """A category; `version` is its ETag."""

    id: str
    version: int
    titles: dict[str, str]
    parent: str | None
    archived: bool


class CategoryNode(CategoryView):
    """A category with all that is below it."""

    children: list["CategoryNode"]


class CategoryTreeView(BaseModel):
    """All categories; `version` grows with every change of any."""

    version: int
    roots: list[CategoryNode]


def changed_view(name: str, version: int, done: Done, response: Response) -> CatalogueChanged:
    """The answer to a change, and the version as the entity tag."""
    response.headers["ETag"] = etag(version)
    return CatalogueChanged(id=name, version=version, repeated=done.repeated)


def product_view(product: Product, definition: ProductDefined, tree: CategoryTree) -> ProductView:
    """A product as its own stream has it."""
    category = definition.category
    return ProductView(
        id=definition.product,
        version=product.version,
        titles=definition.titles,
        category=category,
        path=[] if category is None else list(tree.path(category)),
        price=definition.price,
        cost=definition.cost,
        archived=product.archived,
    )


def listed_view(document: ProductDocument, version: int, tree: CategoryTree) -> ProductView:
    """A product as the list has it."""
    category = document.category
    return ProductView(
        id=document.id,
        version=version,
        titles=document.titles,
        category=category,
        path=[] if category is None else list(tree.path(category)),
        price=document.price,
        cost=document.cost,
        archived=document.archived,
    )


def history_item(told: Told) -> HistoryItem:
    """An event, and what it changed."""
    before = told.before.definition
    changes: list[ChangeView] = []
    if isinstance(told.data, ProductDefined):
        old = {} if before is None else _fields(before)
        changes = [
            ChangeView(field=name, before=old.get(name), after=value)
            for name, value in _fields(told.data).items()
            if old.get(name) != value
        ]
    else:
        archived = told.before.archived
        changes = [ChangeView(field="archived", before=archived, after=not archived)]
    return HistoryItem(version=told.version, time=told.time, what=_what(told.data), changes=changes)


def _what(data: EventData) -> Literal["defined", "archived", "restored"]:
    if isinstance(data, ProductDefined):
        return "defined"
    return "archived" if data.type.startswith("product.archived.") else "restored"


def _fields(definition: ProductDefined) -> dict[str, int | str | dict[str, str] | None]:
    return {
        "titles": definition.titles,
        "category": definition.category,
        "price": definition.price,
        "cost": definition.cost,
    }


def category_view(name: str, category: Category) -> CategoryView:
    """One category."""
    return CategoryView(
        id=name,
        version=category.version,
        titles=category.definition.titles,
        parent=category.definition.parent,
        archived=category.archived,
    )


def tree_view(tree: CategoryTree) -> CategoryTreeView:
    """All of them, children below their parents, by id."""
    children = tree.children()

    def node(name: str) -> CategoryNode:
        view = category_view(name, tree.items[name])
        below = [node(child) for child in children.get(name, ())]
        return CategoryNode(**view.model_dump(), children=below)

    return CategoryTreeView(version=tree.version, roots=[node(n) for n in children.get(None, ())])
