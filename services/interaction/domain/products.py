"""One product: what the chain sells under an id that its receipts name.

A stream of its own for each, so that tens of thousands are changed side by side. The definition is
told whole; what is the same already appends nothing, so a list may be sent again every night.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.interaction.domain.product_categories import RestsOn, whatever
from shared.decider import Decider, NewEvent, Refused, invalid, not_found
from shared.events.contract import EventData
from shared.events.product import ProductArchived, ProductDefined, ProductRestored

PRODUCT_STREAM = "product-"


def product_stream(product: str) -> str:
    """The stream of a product, which is also its Kafka key."""
    return PRODUCT_STREAM + product


@dataclass(frozen=True, slots=True)
class Product:
    """A product; `version` counts the events of its stream."""

    definition: ProductDefined | None = None
    archived: bool = False
    version: int = 0


@dataclass(frozen=True, slots=True)
class DefineProduct:
    """Give a product its (new) definition; `category_lives`: it can be put into that category."""

    definition: ProductDefined
    category_lives: bool
    at: datetime
    rests_on: RestsOn = whatever

    @property
    def product(self) -> str:
        """Its id."""
        return self.definition.product


@dataclass(frozen=True, slots=True)
class ArchiveProduct:
    """It is not sold any more."""

    product: str
    at: datetime
    rests_on: RestsOn = whatever


@dataclass(frozen=True, slots=True)
class RestoreProduct:
    """It is sold again."""

    product: str
    at: datetime
    rests_on: RestsOn = whatever


ProductCommand = DefineProduct | ArchiveProduct | RestoreProduct


def decide_product(command: ProductCommand, product: Product) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, DefineProduct):
        return _define(command, product)
    if product.definition is None:
        raise not_found("product", command.product)
    archives = isinstance(command, ArchiveProduct)
    if product.archived == archives:
        return ()
    command.rests_on(product.version)
    turned = ProductArchived if archives else ProductRestored
    return (NewEvent(turned(product=command.product), command.at),)


def _define(command: DefineProduct, product: Product) -> Sequence[NewEvent]:
    present = product.definition
    if present is None:
        command.rests_on(None)
    else:
        if product.archived:
            raise Refused("archived", 409, "It is archived.", "restore the product first")
        if present == command.definition:
            return ()
        command.rests_on(product.version)
    category = command.definition.category
    stays = present is not None and present.category == category
    if category is not None and not stays and not command.category_lives:
        raise invalid("category", "is no category that products can be put into")
    return (NewEvent(command.definition, command.at),)


def evolve_product(product: Product, data: EventData) -> Product:
    """The product after an event."""
    version = product.version + 1
    match data:
        case ProductDefined():
            return replace(product, definition=data, version=version)
        case ProductArchived():
            return replace(product, archived=True, version=version)
        case ProductRestored():
            return replace(product, archived=False, version=version)
        case _:
            message = f"a product has no event {data.type}"
            raise TypeError(message)


PRODUCTS: Decider[ProductCommand, Product] = Decider(Product, decide_product, evolve_product)
