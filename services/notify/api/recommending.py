"""HTTP of the code that a customer recommends by."""

from dataclasses import dataclass

from fastapi import APIRouter
from pydantic import BaseModel

from services.notify.api.access import Writing, whole_chain
from services.notify.api.campaign_input import Reference
from services.notify.handlers.coupons.printing import Members
from services.notify.handlers.coupons.recommending import Recommending
from shared.clock import Clock
from shared.decider import not_found


class OwnCode(BaseModel):
    """The code of a customer, for others to redeem."""

    customer: str
    pool: str
    code: str


@dataclass(frozen=True, slots=True)
class RecommendingApi:
    """The endpoint, on what it needs."""

    recommending: Recommending
    members: Members
    clock: Clock

    def router(self) -> APIRouter:
        """The route below `/v1/customers/{customer}`."""
        router = APIRouter(prefix="/v1/customers/{customer}", tags=["coupons"])
        router.add_api_route("/referral-code", self.code, methods=["POST"])
        return router

    async def code(self, customer: Reference, calling: Writing) -> OwnCode:
        """The customer's code: given now if there was none, the same for ever."""
        whole_chain(calling)
        found = (await self.members.load([customer])).get(customer)
        if found is None or not found.registered or found.merged is not None:
            kind = "customer"
            raise not_found(kind, customer)
        issued = await self.recommending.code_of(customer, self.clock.now())
        return OwnCode(customer=customer, pool=issued.pool, code=issued.code)
