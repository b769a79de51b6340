"""What the chain decides of itself: `/v1/configuration`, `/v1/branches` and `/v1/employees`.

Configuration belongs to the whole chain: whoever reads customers reads it, and a key of some
branches changes none of it.
"""

from dataclasses import dataclass

from fastapi import APIRouter

from services.customer.api.configuration.automation import AutomationApi
from services.customer.api.configuration.branches import BranchApi
from services.customer.api.configuration.catalogues import CataloguesApi
from services.customer.api.configuration.changing import Changing
from services.customer.api.configuration.directories import DirectoriesApi
from services.customer.api.configuration.employees import EmployeeApi
from services.customer.api.configuration.forms import FormDefinitionsApi
from services.customer.api.configuration.rules import RulesApi
from services.customer.handlers.configuration import ConfigurationBook
from shared.clock import Clock


@dataclass(frozen=True, slots=True)
class ConfigurationApi:
    """All of them, on what they need; `secret` is that of the chain's keyed hashes."""

    book: ConfigurationBook
    clock: Clock
    secret: bytes

    def router(self) -> APIRouter:
        """All their routes."""
        router = APIRouter(prefix="/v1/configuration", tags=["configuration"])
        changing = Changing(self.book, self.clock, self.secret)
        # The last one has paths that would take those of the others.
        for each in (
            RulesApi(changing),
            DirectoriesApi(changing),
            AutomationApi(changing),
            FormDefinitionsApi(changing),
            CataloguesApi(changing),
        ):
            each.add_to(router)
        whole = APIRouter()
        for part in (router, BranchApi(changing).router(), EmployeeApi(changing).router()):
            whole.include_router(part)
        return whole
