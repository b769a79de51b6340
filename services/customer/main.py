"""`python -m services.customer --role api|worker|relay|all`: builds everything, then runs."""

from services.customer.api import CustomerApi
from services.customer.consumers import PROJECTIONS
from services.customer.projections.directory import DIRECTORY
from services.customer.queries.directory import Directory
from shared.identifiers import IdentifierRules
from shared.process import Kernel, Parts, Role, assemble, start
from shared.settings import Settings

SERVICE = "customer"


async def build(settings: Settings, role: Role) -> Parts:
    """Construct the service for a role."""
    kernel = await Kernel.build(settings, SERVICE)
    api = CustomerApi(
        writer=kernel.writer,
        directory=Directory(kernel.documents(DIRECTORY).collection),
        rules=IdentifierRules(kernel.hmac_secret, settings.phone_region),
        clock=kernel.clock,
        authenticator=kernel.authenticator,
    )
    return await assemble(
        kernel,
        role,
        title="Regulars: customers",
        routers=[api.router()],
        projectors=[await kernel.projector(projection) for projection in PROJECTIONS],
    )


def main() -> None:
    """Run the service."""
    start(SERVICE, Settings, build)
