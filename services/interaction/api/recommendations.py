"""What goes with a product, and with what a customer has bought, with the counts that say why.

Counts are of the whole chain's baskets. A caller of some branches is told shares of them instead,
and what a customer has bought only at those branches.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from services.interaction.api.product_inputs import InPath
from services.interaction.api.products import Reading, Writing, require_chain
from services.interaction.api.recommendation_words import Language, because
from services.interaction.handlers.recommending import KIND
from services.interaction.projections.products import ProductDocument
from services.interaction.queries.customers import Owners, living
from services.interaction.queries.products import Products
from services.interaction.queries.purchases import purchases_of
from services.interaction.queries.recommendations import (
    ProductPartners,
    Reason,
    Recommendations,
    Recommended,
    recommended,
)
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.decider import not_found
from shared.events.contract import Moment
from shared.eventstore import EventStore
from shared.http import CommandId, principal
from shared.ids import derived_id
from shared.jobs import Jobs, JobView
from shared.jobs.api import view_of

WINDOW = timedelta(days=365)
MOST_BOUGHT = 200
"""Products of a customer that are looked up, those of the most receipts."""
SPARE = 3
"""Found for each that is shown, as archived products are left out afterwards."""

FactReading = Annotated[Principal, Depends(principal(Permission.FACTS_READ))]
MostShown = Annotated[int, Query(ge=1, le=20, description="Most items.")]


class ReasonView(BaseModel):
    """Why something is recommended. Counts are null for a caller of some branches."""

    product: str = Field(description="what was bought")
    title: str | None
    lift: float = Field(description="times as often as expected, recent baskets counting more")
    share: float = Field(description="of the baskets with it, those that also had the other")
    together: int | None = Field(description="baskets with both")
    baskets: int | None = Field(description="baskets with it")
    baskets_other: int | None = Field(description="baskets with the other")
    total: int | None = Field(description="all baskets that were counted")
    one_in: int = Field(description="of so many baskets one was counted")
    last: Moment = Field(description="when both were bought together last")
    because: str = Field(description="the same in words")


class RecommendationView(BaseModel):
    """A product that goes with it, and why; the strongest reason first."""

    product: str
    title: str | None
    reasons: list[ReasonView]


class RecommendationList(BaseModel):
    """What goes with it, the best first."""

    items: list[RecommendationView]


@dataclass(frozen=True, slots=True)
class RecommendationApi:
    """The endpoints, on what they need."""

    found: Recommendations
    products: Products
    owners: Owners
    store: EventStore
    jobs: Jobs
    clock: Clock

    def router(self) -> APIRouter:
        """The routes; they go before those of products, whose ids may hold a slash."""
        router = APIRouter(prefix="/v1", tags=["recommendations"])
        add = router.add_api_route
        add("/products/{product:path}/recommendations", self.of_product, methods=["GET"])
        add("/customers/{customer}/recommendations", self.of_customer, methods=["GET"])
        add("/recommendations/jobs", self.ask, methods=["POST"], status_code=202)
        return router

    async def of_product(
        self, product: InPath, calling: Reading, limit: MostShown = 10, language: Language = "en"
    ) -> RecommendationList:
        """What customers who bought this also bought."""
        found = await self.found.of([product])
        chosen = recommended(found, {product}, limit * SPARE)
        return await self._shown(chosen, calling, limit, language)

    async def of_customer(
        self, customer: str, calling: FactReading, limit: MostShown = 10, language: Language = "en"
    ) -> RecommendationList:
        """What goes with what the customer bought in the last year, and was not bought in it."""
        buyer = await living(self.owners, customer)
        if buyer is None:
            raise not_found("customer", customer)
        purchases = await purchases_of(self.store, buyer)
        bought = purchases.since(self.clock.now() - WINDOW, scope(calling, Kind.FACT))
        found: Mapping[str, ProductPartners] = (
            await self.found.of(list(islice(bought, MOST_BOUGHT))) if bought else {}
        )
        chosen = recommended(found, bought.keys(), limit * SPARE)
        return await self._shown(chosen, calling, limit, language)

    async def ask(self, calling: Writing, command_id: CommandId) -> JobView:
        """Have it found anew what is bought together; the answer is the job that does so."""
        require_chain(calling)
        job = await self.jobs.begin(
            KIND, calling.id, {}, job_id=derived_id(KIND, "asked", command_id)
        )
        return view_of(job)

    async def _shown(
        self, chosen: Sequence[Recommended], calling: Principal, limit: int, language: Language
    ) -> RecommendationList:
        """As the caller may see it; what is not sold any more is left out."""
        clear = scope(calling, Kind.PRODUCT).everything
        named = await self.products.find(_names(chosen)) if chosen else {}
        titles = {name: _title(document, language) for name, document in named.items()}
        archived = {name for name, document in named.items() if document.archived}
        sold = [each for each in chosen if each.product not in archived][:limit]
        return RecommendationList(
            items=[
                RecommendationView(
                    product=each.product,
                    title=titles.get(each.product),
                    reasons=[_reason(why, titles, language, clear=clear) for why in each.reasons],
                )
                for each in sold
            ]
        )


def _names(chosen: Iterable[Recommended]) -> set[str]:
    return {
        name for each in chosen for name in (each.product, *(why.product for why in each.reasons))
    }


def _title(document: ProductDocument, language: Language) -> str | None:
    """In the language, or else in the first one that there is."""
    titles = document.titles
    return titles.get(language) or next(iter(titles.values()), None)


def _reason(
    why: Reason, titles: Mapping[str, str | None], language: Language, *, clear: bool
) -> ReasonView:
    partner = why.partner
    return ReasonView(
        product=why.product,
        title=titles.get(why.product),
        lift=round(partner.lift, 2),
        share=round(partner.together / why.baskets, 4),
        together=partner.together if clear else None,
        baskets=why.baskets if clear else None,
        baskets_other=partner.baskets if clear else None,
        total=why.total if clear else None,
        one_in=why.one_in,
        last=partner.last,
        because=because(
            language,
            bought=titles.get(why.product) or why.product,
            other=titles.get(partner.product) or partner.product,
            why=why,
            clear=clear,
        ),
    )
