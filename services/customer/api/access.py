"""The endpoint that tells a person all that this service holds of them."""

from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from services.customer.api.desk import Desk
from services.customer.api.views import RecordView, record_view
from services.customer.queries.access import Access
from services.customer.queries.records import Record
from shared.access import Permission, Principal
from shared.http import principal
from shared.ids import new_id
from shared.reveals import Reveal, Reveals

Disclosing = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_DISCLOSE))]
WAY = "access"

log = structlog.stdlib.get_logger(__name__)


class MergeView(BaseModel):
    """A merge of two records of the person that stands."""

    merge: str
    customer: str = Field(description="who was merged")
    into: str


class Held(BaseModel):
    """All that this service holds of a person; other services hold more."""

    customer: str
    records: list[RecordView] = Field(description="one for each record of the person")
    merges: list[MergeView]
    deals: list[dict[str, Any]]
    companies: list[dict[str, Any]] = Field(description="those whose contact the person is")
    events: list[dict[str, Any]] = Field(
        description="all that was ever recorded, consents and their evidence among it"
    )


@dataclass(frozen=True, slots=True)
class AccessApi:
    """The endpoint, on what it needs."""

    desk: Desk
    access: Access
    reveals: Reveals

    def router(self) -> APIRouter:
        """The route below `/v1/customers/{customer}`."""
        router = APIRouter(prefix="/v1/customers/{customer}", tags=["access"])
        router.add_api_route("/access", self.tell, methods=["GET"])
        return router

    async def tell(self, customer: str, calling: Disclosing) -> Held:
        """All that is held of a person, whichever of their records is named. It is written down."""
        await self.desk.require_scope(customer, calling)
        found = await self.access.of(customer)
        now = self.desk.clock.system_now()
        people = tuple(sorted(found.people))
        await self.reveals.note(Reveal(new_id(), now, calling.id, WAY, people))
        log.info("all data of a person told", customer=customer, by=calling.id)
        return Held(
            customer=customer,
            records=[
                record_view(Record(name, state), self.desk.clock.now())
                for name, state in found.people.items()
            ],
            merges=[
                MergeView(merge=state.merged.merge, customer=name, into=state.merged.survivor)
                for name, state in found.people.items()
                if state.merged is not None
            ],
            deals=[dict(each) for each in found.deals],
            companies=[dict(each) for each in found.companies],
            events=[dict(each) for each in found.events],
        )
