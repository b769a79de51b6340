"""The endpoints below `/v1/configuration`: what the chain decides of its customers' records.

Configuration belongs to the whole chain: whoever reads customers reads it, and a key of some
branches changes none of it.
"""

from dataclasses import dataclass

from fastapi import APIRouter

from services.customer.api.configuration.catalogues import CataloguesApi
from services.customer.api.configuration.changing import Changing
from services.customer.api.configuration.directories import DirectoriesApi
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
        """The routes below `/v1/configuration`."""
        router = APIRouter(prefix="/v1/configuration", tags=["configuration"])
        changing = Changing(self.book, self.clock, self.secret)
        # The last one has paths that would take those of the others.
        for each in (RulesApi(changing), DirectoriesApi(changing), CataloguesApi(changing)):
            each.add_to(router)
        return router
