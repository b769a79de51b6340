"""The endpoint that tells a person all that a service holds of them, from its log."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.disclosure import Disclosure
from shared.http.callers import principal
from shared.ids import new_id
from shared.reveals import Reveal, Reveals

Disclosing = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_DISCLOSE))]
WAY = "access"

log = structlog.stdlib.get_logger(__name__)


class HeldEvents(BaseModel):
    """All that this service holds of a person; other services hold more."""

    customer: str = Field(description="who lives on")
    customers: list[str] = Field(description="those records of the person that are told of")
    events: list[dict[str, Any]] = Field(description="all that was ever recorded")


@dataclass(frozen=True, slots=True)
class DisclosureApi:
    """The endpoint at `/v1/customers/{customer}/<what>/access`, on what it needs.

    `of` tells, and raises `Refused` for nobody and for somebody erased. Who asks must see all
    branches of `kind`, and each answer is written down.
    """

    what: str
    kind: Kind
    of: Callable[[str], Awaitable[Disclosure]]
    reveals: Reveals
    clock: Clock

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(prefix="/v1/customers/{customer}", tags=["access"])
        router.add_api_route(f"/{self.what}/access", self.tell, methods=["GET"])
        return router

    async def tell(self, customer: str, calling: Disclosing) -> HeldEvents:
        """All that is held of a person, whoever of their records is named. It is written down."""
        scope(calling, self.kind).require(None)
        found = await self.of(customer)
        people = tuple(sorted(found.customers))
        await self.reveals.note(Reveal(new_id(), self.clock.system_now(), calling.id, WAY, people))
        log.info("all of a person told", what=self.what, customer=customer, by=calling.id)
        return HeldEvents(
            customer=found.customers[0],
            customers=list(found.customers),
            events=[dict(each) for each in found.events],
        )
