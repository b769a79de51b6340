"""`python -m services.interaction --role api|worker|relay|all`: builds everything, then runs."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from services.interaction.api import FactApi, ImportApi, TotalsApi
from services.interaction.api.product_categories import ProductCategoryApi
from services.interaction.api.products import ProductApi
from services.interaction.api.recommendations import RecommendationApi
from services.interaction.api.timeline import TimelineApi
from services.interaction.consumers import PROJECTIONS
from services.interaction.domain.affinity import Measure
from services.interaction.domain.days import zone_name
from services.interaction.handlers.facts import Recorder
from services.interaction.handlers.intake import Intake
from services.interaction.handlers.misuse import TellMisuse
from services.interaction.handlers.recommending import Recommending, Schedule
from services.interaction.handlers.returns import Returns
from services.interaction.projections.identifiers import IDENTIFIERS
from services.interaction.projections.products import PRODUCTS
from services.interaction.projections.timeline import TIMELINE
from services.interaction.projections.totals import MISUSE_LIMIT, totals_of
from services.interaction.queries.baskets import Receipts
from services.interaction.queries.customers import Customers
from services.interaction.queries.imports import Imports
from services.interaction.queries.product_categories import CategoryBook
from services.interaction.queries.products import Products
from services.interaction.queries.recommendations import INDEXES, RECOMMENDATIONS, Recommendations
from services.interaction.queries.timeline import Timeline
from services.interaction.queries.totals import Totals
from services.interaction.queries.trees import Trees
from shared.identifiers import IdentifierRules
from shared.jobs import JobApi
from shared.mongo import MongoDocuments
from shared.mongo.events import COMMITS
from shared.process import Kernel, Parts, Reports, Role, assemble, start
from shared.settings import Settings
from shared.wording import Languages

SERVICE = "interaction"
LOCALES = Path(__file__).parent / "locales"


class InteractionSettings(Settings):
    """The interaction service's own settings.

    `zone` (IANA name) is the one in whose days figures are counted, the same as long as the chain
    lives. A customer with more than `misuse_limit` receipts on one of them is suspected of misuse.
    """

    zone: Annotated[str, AfterValidator(zone_name)] = "UTC"
    misuse_limit: int = Field(default=MISUSE_LIMIT, ge=1)


async def build(settings: InteractionSettings, role: Role) -> Parts:
    """Construct the service for a role."""
    kernel = await Kernel.build(settings, SERVICE)
    imports = Imports(kernel.writer)
    customers = Customers(kernel.documents(IDENTIFIERS).collection)
    rules = IdentifierRules(kernel.hmac_secret, settings.phone_region)
    categories = CategoryBook(kernel.writer)
    products = Products(kernel.documents(PRODUCTS).collection, categories)
    jobs = await kernel.jobs()
    recommending = await _recommending(kernel)
    intake = Intake(
        Recorder(kernel.writer, customers.owners, products.of),
        Returns(kernel.writer),
        rules,
        kernel.clock,
    )
    importing = ImportApi(kernel.writer, imports, kernel.clock)
    totalled = totals_of(ZoneInfo(settings.zone), settings.misuse_limit)
    totals = TotalsApi(
        customers,
        Totals(kernel.documents(totalled).collection),
        kernel.writer,
        kernel.clock,
    )

    async def notes() -> Mapping[str, str]:
        return {"open imports": str(len(await imports.open()))}

    return await assemble(
        kernel,
        role,
        title="Regulars: interactions",
        routers=[
            FactApi(intake).router(),
            importing.router(),
            totals.router(),
            _timeline(kernel, settings).router(),
            # Before single products: their ids may hold a slash.
            RecommendationApi(
                recommending.known, products, customers.owners, kernel.store, jobs, kernel.clock
            ).router(),
            ProductApi(kernel.writer, products, kernel.clock).router(),
            ProductCategoryApi(categories, kernel.clock).router(),
            JobApi(jobs).router(),
        ],
        projectors=[await kernel.projector(projection) for projection in (*PROJECTIONS, totalled)],
        worker_tasks=[
            kernel.sweeper(totalled, TellMisuse(kernel.writer)).run,
            kernel.job_runner(jobs, [recommending]).run,
            Schedule(jobs, kernel.clock, timedelta(hours=settings.recommendations_hours)).run,
        ],
        reports=Reports(notes=notes),
    )


def _timeline(kernel: Kernel, settings: InteractionSettings) -> TimelineApi:
    return TimelineApi(
        Trees(kernel.documents(IDENTIFIERS).collection),
        Timeline(kernel.documents(TIMELINE).collection, kernel.keyring),
        Languages.read(LOCALES),
        settings.currency,
        ZoneInfo(settings.zone),
    )


async def _recommending(kernel: Kernel) -> Recommending:
    documents = MongoDocuments(kernel.database, RECOMMENDATIONS)
    await documents.create_indexes(INDEXES)
    return Recommending(
        Receipts(kernel.database.collection(COMMITS)),
        documents,
        Recommendations(documents.collection),
        kernel.clock,
        Measure(kernel.settings.recommendations_half_life_days),
    )


def main() -> None:
    """Run the service."""
    start(SERVICE, InteractionSettings, build)
