"""The endpoint that tells a person all that this service holds of them."""

from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from services.interaction.queries.access import Access
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.http import principal
from shared.ids import new_id
from shared.reveals import Reveal, Reveals

Disclosing = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_DISCLOSE))]
WAY = "access"

log = structlog.stdlib.get_logger(__name__)


class HeldFacts(BaseModel):
    """All that this service holds of a person; other services hold more."""

    customer: str = Field(description="who lives on")
    customers: list[str] = Field(description="those who are one person")
    events: list[dict[str, Any]] = Field(
        description="all that was ever recorded: facts, points, tasks, and how facts changed hands"
    )


@dataclass(frozen=True, slots=True)
class AccessApi:
    """The endpoint, on what it needs."""

    access: Access
    reveals: Reveals
    clock: Clock

    def router(self) -> APIRouter:
        """The route `/v1/customers/{customer}/facts/access`."""
        router = APIRouter(prefix="/v1/customers/{customer}/facts", tags=["access"])
        router.add_api_route("/access", self.tell, methods=["GET"])
        return router

    async def tell(self, customer: str, calling: Disclosing) -> HeldFacts:
        """All that is held of a person, whoever of their records is named. It is written down."""
        scope(calling, Kind.FACT).require(None)
        found = await self.access.of(customer)
        people = tuple(sorted(found.customers))
        await self.reveals.note(Reveal(new_id(), self.clock.system_now(), calling.id, WAY, people))
        log.info("all facts of a person told", customer=customer, by=calling.id)
        return HeldFacts(
            customer=found.customers[0],
            customers=list(found.customers),
            events=[dict(each) for each in found.events],
        )
