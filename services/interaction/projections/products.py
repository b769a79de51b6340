"""The catalogue as it is listed: by id, by category, by how the words of a title begin."""

import re
import unicodedata

import msgspec

from services.interaction.domain.products import PRODUCT_STREAM
from shared.events.product import ProductArchived, ProductDefined, ProductRestored
from shared.projection import Document, Event, Projection

LIVING, ARCHIVED = "0", "1"
"""Where a product stands; the first character of its sort key."""
MAX_BEGINNINGS = 24
"""Places of its titles at which a product is found; words beyond find nothing."""
LONGEST_BEGINNING = 40
_WORD = re.compile(r"\w+")


class ProductDocument(Document, kw_only=True, omit_defaults=True):
    """One product.

    `sort` is `<shelf><id>`, unique, so that a page can go on from it; `names` are its titles as
    they are searched, from each of their words on.
    """

    sort: str
    titles: dict[str, str]
    names: list[str]
    category: str | None = None
    price: int | None = None
    cost: int | None = None
    archived: bool = False


class Defined(msgspec.Struct):
    """What is read of `product.defined`."""

    titles: dict[str, str]
    category: str | None = None
    price: int | None = None
    cost: int | None = None


class Turned(msgspec.Struct):
    """The type of the event says it all."""


def searched(text: str) -> str:
    """A text as it is looked for: small letters, no accents, only words."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(each for each in apart if not unicodedata.combining(each))
    return " ".join(_WORD.findall(bare))


def beginnings(titles: dict[str, str]) -> list[str]:
    """Each title from each of its words on, cut short."""
    found: dict[str, None] = {}
    for title in titles.values():
        text = searched(title)
        starts = [0, *(place + 1 for place, sign in enumerate(text) if sign == " ")]
        found |= dict.fromkeys(text[start : start + LONGEST_BEGINNING] for start in starts)
    return list(found)[:MAX_BEGINNINGS]


def _target(event: Event) -> str | None:
    stream = event.light.stream
    return stream.removeprefix(PRODUCT_STREAM) if stream.startswith(PRODUCT_STREAM) else None


def apply(product: ProductDocument | None, event: Event) -> ProductDocument:
    """The product after an event."""
    data = event.data
    if isinstance(data, Defined):
        name = _target(event) or ""
        if product is None:
            product = ProductDocument(id=name, sort=LIVING + name, titles={}, names=[])
        product.titles, product.names = data.titles, beginnings(data.titles)
        product.category, product.price, product.cost = data.category, data.price, data.cost
        return product
    if product is None:
        message = "the first event of a product is its definition"
        raise ValueError(message)
    product.archived = event.type == ProductArchived.type
    product.sort = (ARCHIVED if product.archived else LIVING) + product.id
    return product


PRODUCTS: Projection[ProductDocument] = Projection(
    name="products_v1",
    topics=("interaction.events.v1",),
    reads={
        ProductDefined.type: Defined,
        ProductArchived.type: Turned,
        ProductRestored.type: Turned,
    },
    document=ProductDocument,
    target=_target,
    apply=apply,
    indexes=((("sort", 1),), (("category", 1), ("sort", 1)), (("names", 1),)),
)
