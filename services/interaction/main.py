"""`python -m services.interaction --role api|worker|relay|all`: builds everything, then runs."""

from collections.abc import Mapping

from services.interaction.api import ImportApi, ReceiptApi, TotalsApi
from services.interaction.api.product_categories import ProductCategoryApi
from services.interaction.api.products import ProductApi
from services.interaction.consumers import PROJECTIONS
from services.interaction.projections.identifiers import IDENTIFIERS
from services.interaction.projections.products import PRODUCTS
from services.interaction.projections.totals import TOTALS
from services.interaction.queries.customers import Customers
from services.interaction.queries.imports import Imports
from services.interaction.queries.product_categories import CategoryBook
from services.interaction.queries.products import Products
from services.interaction.queries.totals import Totals
from shared.identifiers import IdentifierRules
from shared.process import Kernel, Parts, Reports, Role, assemble, start
from shared.settings import Settings

SERVICE = "interaction"


async def build(settings: Settings, role: Role) -> Parts:
    """Construct the service for a role."""
    kernel = await Kernel.build(settings, SERVICE)
    imports = Imports(kernel.writer)
    customers = Customers(kernel.documents(IDENTIFIERS).collection)
    rules = IdentifierRules(kernel.hmac_secret, settings.phone_region)
    receipts = ReceiptApi(kernel.writer, customers.owners, rules, kernel.clock)
    categories = CategoryBook(kernel.writer)
    products = Products(kernel.documents(PRODUCTS).collection, categories)
    importing = ImportApi(kernel.writer, imports, kernel.clock)
    totals = TotalsApi(customers, Totals(kernel.documents(TOTALS).collection))

    async def notes() -> Mapping[str, str]:
        return {"open imports": str(len(await imports.open()))}

    return await assemble(
        kernel,
        role,
        title="Regulars: interactions",
        routers=[
            receipts.router(),
            importing.router(),
            totals.router(),
            ProductApi(kernel.writer, products, kernel.clock).router(),
            ProductCategoryApi(categories, kernel.clock).router(),
        ],
        projectors=[await kernel.projector(projection) for projection in PROJECTIONS],
        reports=Reports(notes=notes),
    )


def main() -> None:
    """Run the service."""
    start(SERVICE, Settings, build)
