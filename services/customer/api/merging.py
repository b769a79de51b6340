"""The endpoints that make two customers one, part them again, and forget them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, StringConstraints

from services.customer.api.desk import Asking, Desk
from services.customer.api.inputs import Input, LongText
from services.customer.api.views import Recorded, recorded
from services.customer.domain.merging import Merge
from services.customer.domain.reverting import Revert
from services.customer.handlers.erasing import Eraser
from services.customer.handlers.merging import merge, merge_id, revert
from shared.access import Permission, Principal
from shared.envelope import Causation
from shared.http import principal
from shared.http.preconditions import OptionalMatch

Merging = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_MERGE))]
Erasing = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_ERASE))]
CustomerId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,64}$")]


class MergeInput(Input):
    """Who the customer turned out to be."""

    into: CustomerId = Field(description="the customer who lives on")
    reason: LongText | None = None


class EraseInput(Input):
    """The wish that a person be forgotten for good."""

    confirm: Literal["erase"] = Field(description="typed by whoever decides this")
    reason: Literal["request", "law", "retention", "mistake"]


class Erased(BaseModel):
    """A person was forgotten."""

    erase: str = Field(description="id of the erase")
    customer: str


@dataclass(frozen=True, slots=True)
class MergingApi:
    """The endpoints of merging and erasing."""

    desk: Desk
    eraser: Eraser

    def router(self) -> APIRouter:
        """The routes below `/v1/customers/{customer}`."""
        router = APIRouter(prefix="/v1/customers/{customer}", tags=["merging"])
        router.add_api_route("/merge", self.merge, methods=["POST"])
        router.add_api_route("/merge/revert", self.revert, methods=["POST"])
        router.add_api_route("/erase", self.erase, methods=["POST"])
        return router

    async def merge(
        self,
        body: MergeInput,
        match: OptionalMatch,
        calling: Merging,
        asking: Annotated[Asking, Depends()],
    ) -> Recorded:
        """Say that the customer is the same person as another, who lives on.

        Where that one was merged itself, whoever it is now lives on.
        """
        await self.desk.require_scope(asking.customer, calling)
        await self.desk.require_scope(body.into, calling)
        request = self.desk.request(asking.command_id, [asking.customer, "merge", body])
        command = Merge(
            customer=asking.customer,
            into=body.into,
            merge=merge_id(request.command_id),
            at=request.at,
            reason=body.reason,
            by=calling.id,
            if_match=match.versions,
        )
        merged = await merge(self.desk.writer, request, command)
        return recorded(merged.survivor, merged.done, asking.response)

    async def revert(
        self, match: OptionalMatch, calling: Merging, asking: Annotated[Asking, Depends()]
    ) -> Recorded:
        """Undo the merge of this customer into another; of several, the newest goes first."""
        await self.desk.require_scope(asking.customer, calling)
        request = self.desk.request(asking.command_id, [asking.customer, "revert"])
        command = Revert(
            customer=asking.customer,
            survivor=None,
            at=request.at,
            by=calling.id,
            if_match=match.versions,
        )
        merged = await revert(self.desk.writer, request, command)
        return recorded(merged.survivor, merged.done, asking.response)

    async def erase(
        self, body: EraseInput, calling: Erasing, asking: Annotated[Asking, Depends()]
    ) -> Erased:
        """Forget the person, with all customers that are merged with this one. It is final.

        What is not done when this answer fails, is done soon after.
        """
        await self.desk.require_scope(asking.customer, calling)
        request = self.desk.request(asking.command_id, [asking.customer, body])
        wish = await self.eraser.request(request, asking.customer, body.reason, calling.id)
        await self.eraser.carry_out(wish, request.at, Causation(correlation=request.command_id))
        return Erased(erase=wish.erase, customer=asking.customer)
