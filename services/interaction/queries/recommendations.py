"""What was found to be bought together, and what follows for a product and for a customer."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from services.interaction.domain.affinity import Partners
from shared.projection import Document
from shared.readmodel import Questions, RawDocument

RECOMMENDATIONS = "recommendations"
INDEXES = ((("found_at", 1),),)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
MOST_REASONS = 3


class Partner(msgspec.Struct, gc=False):
    """A product that is bought together with another one; see `domain.affinity.Pair`."""

    product: str
    baskets: int
    together: int
    lift: float
    last: datetime


class ProductPartners(Document, kw_only=True, omit_defaults=True):
    """The best partners of a product, the best first, as they were found at a moment.

    Of `total` baskets, `baskets` had the product; all counts are of one basket in `one_in`. One
    that has lost its partners has no `found_at`.
    """

    found_at: datetime | None = None
    baskets: int = 0
    total: int = 0
    one_in: int = 1
    partners: list[Partner] = msgspec.field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is recommended: what was bought, and how often both were, of its baskets."""

    product: str
    baskets: int
    total: int
    one_in: int
    partner: Partner


@dataclass(frozen=True, slots=True)
class Recommended:
    """A product for somebody, with the strongest reasons first."""

    product: str
    reasons: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class Recommendations:
    """Questions to what was found. They raise `StoreUnavailable`."""

    collection: Questions

    async def of(self, products: Collection[str]) -> Mapping[str, ProductPartners]:
        """The partners of those of the products that have any."""
        raws = await self.collection.find({"_id": {"$in": sorted(products)}})
        found = [msgspec.convert(raw, ProductPartners) for raw in raws]
        return {each.id: each for each in found if each.partners}

    async def older(self, moment: datetime, limit: int) -> Sequence[ProductPartners]:
        """Some of those with partners that were found before the moment, and not since."""
        where = {"found_at": {"$gte": LONG_AGO, "$lt": moment}}
        raws = await self.collection.find(where, sort=[("found_at", 1)], limit=limit)
        return [msgspec.convert(raw, ProductPartners) for raw in raws]


def document_of(
    found: Partners, at: datetime, one_in: int, present: ProductPartners | None
) -> RawDocument:
    """What is stored of the partners of a product, over what is there."""
    return raw_of(
        ProductPartners(
            id=found.product,
            rev=0 if present is None else present.rev,
            found_at=at,
            baskets=found.baskets,
            total=found.total,
            one_in=one_in,
            partners=[
                Partner(each.product, each.baskets, each.together, each.lift, each.last)
                for each in found.pairs
            ],
        )
    )


def raw_of(document: ProductPartners) -> RawDocument:
    """The next revision of a document, as it is stored."""
    raw: RawDocument = msgspec.to_builtins(document, builtin_types=(datetime,))
    return {**raw, "rev": document.rev + 1}


def recommended(
    found: Mapping[str, ProductPartners], without: AbstractSet[str], most: int
) -> Sequence[Recommended]:
    """What goes with what was bought, and is not in `without`: by the best lift, then by support.

    Of equal ones, that with more reasons comes first, then the one bought together more often.
    """
    reasons: dict[str, list[Reason]] = {}
    for bought in found.values():
        for partner in bought.partners:
            if partner.product not in without:
                reason = Reason(bought.id, bought.baskets, bought.total, bought.one_in, partner)
                reasons.setdefault(partner.product, []).append(reason)
    ranked = [
        Recommended(product, sorted(each, key=_strength)[:MOST_REASONS])
        for product, each in reasons.items()
    ]
    support = {product: len(each) for product, each in reasons.items()}
    ranked.sort(key=lambda each: (-each.reasons[0].partner.lift, -support[each.product],
                                  -each.reasons[0].partner.together, each.product))  # fmt: skip
    return ranked[:most]


def _strength(reason: Reason) -> tuple[float, int, str]:
    return (-reason.partner.lift, -reason.partner.together, reason.product)
