"""Computed fields of a customer over HTTP: they follow from the totals, and are written nowhere."""

from dataclasses import dataclass

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.customer.api.desk import Desk, Reader
from services.customer.domain.configuration.computed import Totals
from services.customer.projections.directory import DirectoryEntry
from shared.decider import not_found


class ComputedView(BaseModel):
    """What the totals say of a customer, in the words of the chain."""

    customer: str
    values: dict[str, str] = Field(description="computed field → the choice that is reached")


@dataclass(frozen=True, slots=True)
class ComputedApi:
    """The endpoint."""

    desk: Desk

    def router(self) -> APIRouter:
        """The route below `/v1/customers`."""
        router = APIRouter(prefix="/v1/customers", tags=["customers"])
        router.add_api_route("/{customer}/computed", self.get, methods=["GET"])
        return router

    async def get(self, customer: str, calling: Reader) -> ComputedView:
        """The computed fields of a customer, as far as the list has read."""
        entry = await self.desk.directory.get(customer)
        if entry is None:
            kind = "customer"
            raise not_found(kind, customer)
        await self.desk.require_scope(customer, calling)
        fields = (await self.desk.book.fresh()).fields
        return ComputedView(customer=customer, values=fields.computed(totals_of(entry)))


def totals_of(entry: DirectoryEntry) -> Totals:
    """What fields are computed from."""
    return Totals(entry.spent, entry.visits, entry.first_visit, entry.last_visit)
