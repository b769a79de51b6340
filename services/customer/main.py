"""`python -m services.customer --role api|worker|relay|all`: builds everything, then runs."""

from services.customer.api import CareApi, ContactApi, CustomerApi, Desk
from services.customer.api.configuration import ConfigurationApi
from services.customer.consumers import PROJECTIONS
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.projections.directory import DIRECTORY
from services.customer.queries.directory import Directory
from services.customer.queries.records import Records
from shared.identifiers import IdentifierRules
from shared.process import Kernel, Parts, Role, assemble, start
from shared.settings import Settings

SERVICE = "customer"


async def build(settings: Settings, role: Role) -> Parts:
    """Construct the service for a role."""
    kernel = await Kernel.build(settings, SERVICE)
    book = ConfigurationBook(kernel.writer)
    desk = Desk(
        writer=kernel.writer,
        directory=Directory(kernel.documents(DIRECTORY).collection),
        records=Records(kernel.writer),
        book=book,
        rules=IdentifierRules(kernel.hmac_secret, settings.phone_region),
        clock=kernel.clock,
        authenticator=kernel.authenticator,
    )
    configuration = ConfigurationApi(book, kernel.clock, kernel.hmac_secret)
    return await assemble(
        kernel,
        role,
        title="Regulars: customers",
        routers=[
            CustomerApi(desk).router(),
            ContactApi(desk).router(),
            CareApi(desk).router(),
            configuration.router(),
        ],
        projectors=[await kernel.projector(projection) for projection in PROJECTIONS],
    )


def main() -> None:
    """Run the service."""
    start(SERVICE, Settings, build)
