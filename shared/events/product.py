"""Events of the product catalogue: what the chain sells, and the tree that it is sorted into.

Every definition is told whole each time, so the last one stands alone. Nothing is ever deleted:
what was archived is found in old receipts, and can be restored. Receipts keep what was true when
they were recorded, so a change here rewrites no figure of the past.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from shared.events.contract import EventData, MinorUnits

Titles = Annotated[dict[str, str], Field(description="language (BCP 47) → what people read")]
ProductId = Annotated[str, Field(description="its id in receipts, e.g. the SKU")]
CategoryId = Annotated[str, Field(description="its id, for ever the same")]


class ProductDefined(EventData):
    """A product has a (new) definition."""

    type: ClassVar[str] = "product.defined.v1"
    product: ProductId
    titles: Titles
    category: str | None = Field(default=None, description="id of a product category")
    price: MinorUnits | None = Field(default=None, description="of one, as it is offered")
    cost: MinorUnits | None = Field(default=None, description="of one, to the chain")


class ProductArchived(EventData):
    """It is not sold any more."""

    type: ClassVar[str] = "product.archived.v1"
    product: ProductId


class ProductRestored(EventData):
    """It is sold again."""

    type: ClassVar[str] = "product.restored.v1"
    product: ProductId


class ProductCategoryDefined(EventData):
    """A category of products has a (new) definition, and its place in the tree."""

    type: ClassVar[str] = "product_category.defined.v1"
    category: CategoryId
    titles: Titles
    parent: str | None = Field(default=None, description="absent: it is a root")


class ProductCategoryArchived(EventData):
    """Products that are in it stay; no other is put into it."""

    type: ClassVar[str] = "product_category.archived.v1"
    category: CategoryId


class ProductCategoryRestored(EventData):
    """Products can be put into it again."""

    type: ClassVar[str] = "product_category.restored.v1"
    category: CategoryId


EVENTS: tuple[type[EventData], ...] = (
    ProductDefined,
    ProductArchived,
    ProductRestored,
    ProductCategoryDefined,
    ProductCategoryArchived,
    ProductCategoryRestored,
)
