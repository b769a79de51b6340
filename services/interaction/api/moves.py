"""Facts to another customer by hand: a receipt that was attributed to the wrong one."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from services.interaction.domain.facts import fact_id
from services.interaction.domain.streams import customer_of
from services.interaction.handlers.facts import UNKNOWN_CUSTOMER
from services.interaction.handlers.incoming.forms import Branch, Input, Text
from services.interaction.handlers.incoming.who import SourceOf
from services.interaction.handlers.moves import Mover
from services.interaction.queries.customers import Customers, living
from shared.access import Kind, Permission, Principal, scope
from shared.http import CommandId, principal

Writing = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_WRITE))]


class MoveInput(Input):
    """A fact by the ids of its source, and whose it is."""

    source: SourceOf = "pos"
    source_id: Text
    branch: Branch | None = None
    customer: Text = Field(description="the id of the customer whose it is")


class MovedTo(BaseModel):
    """Where the fact is now, with what was given back of it."""

    id: str = Field(description="of the fact")
    customer: str = Field(description="who lives on as the customer that was named")
    version: int = Field(description="of that customer's facts; pass it on as `min_version`")
    changed: bool = Field(description="it was somebody else's before")


@dataclass(frozen=True, slots=True)
class MoveApi:
    """The endpoint, on what it needs."""

    mover: Mover
    customers: Customers

    def router(self) -> APIRouter:
        """`POST /v1/facts/moves`."""
        router = APIRouter(prefix="/v1/facts/moves", tags=["facts"])
        router.add_api_route("", self.move, methods=["POST"])
        return router

    async def move(self, body: MoveInput, calling: Writing, command: CommandId) -> MovedTo:
        """Attribute a fact, and what was given back of it, to a customer; it closes nothing."""
        scope(calling, Kind.FACT).require(body.branch)
        customer = await living(self.customers.owners, body.customer)
        if customer is None:
            raise UNKNOWN_CUSTOMER
        place = (body.source, body.branch, body.source_id)
        done = await self.mover.by_hand(command, place, customer, calling.id)
        return MovedTo(
            id=fact_id(*place),
            customer=customer_of(done.stream) or customer,
            version=done.version,
            changed=done.changed,
        )
