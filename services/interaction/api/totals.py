"""Totals out: of a customer, of the chain, of its branches, as far as the caller may see."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.interaction.api.total_views import (
    BranchFiguresView,
    BranchList,
    CategoryList,
    ChainTotalsView,
    CustomerTotalsView,
    SuspectList,
    SuspectView,
    category_views,
)
from services.interaction.domain.misuse import LiftMisuse
from services.interaction.handlers.misuse import lift_misuse
from services.interaction.queries.customers import Customers
from services.interaction.queries.totals import Totals
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.decider import Refused, not_found
from shared.execute import Writer
from shared.http import CommandId, MinVersion, etag, principal, until

Reader = Annotated[Principal, Depends(principal(Permission.FACTS_READ))]
Judge = Annotated[Principal, Depends(principal(Permission.MISUSE_LIFT))]
Level = Annotated[
    int | None,
    Query(ge=1, le=10, description="of the tree, 1 is the root; absent: each category by itself"),
]


@dataclass(frozen=True, slots=True)
class TotalsApi:
    """The endpoints, on what they need."""

    customers: Customers
    totals: Totals
    writer: Writer
    clock: Clock

    def router(self) -> APIRouter:
        """The routes `/v1/customers/{customer}/totals`, `/v1/totals` and `/v1/misuse`."""
        router = APIRouter(prefix="/v1", tags=["totals"])
        router.add_api_route("/customers/{customer}/totals", self.customer_totals, methods=["GET"])
        router.add_api_route("/totals", self.chain_totals, methods=["GET"])
        router.add_api_route("/totals/branches", self.branch_totals, methods=["GET"])
        router.add_api_route("/totals/categories", self.category_totals, methods=["GET"])
        router.add_api_route("/misuse", self.suspected, methods=["GET"])
        router.add_api_route("/misuse/{who}/lift", self.lift, methods=["POST"], status_code=204)
        return router

    async def customer_totals(
        self,
        customer: str,
        calling: Reader,
        response: Response,
        min_version: MinVersion = None,
        level: Level = None,
    ) -> CustomerTotalsView:
        """What one customer has done."""
        if min_version is not None:
            await until(lambda: self._has(customer, min_version))
        totals = await self.totals.get(customer)
        if totals is None and not await self.customers.exists(customer):
            raise not_found("customer", customer)
        view = CustomerTotalsView.of(customer, totals, scope(calling, Kind.FACT), level)
        response.headers["ETag"] = etag(view.version)
        return view

    async def chain_totals(self, calling: Reader) -> ChainTotalsView:
        """What all customers have done, and who bought without being known."""
        return ChainTotalsView.of(await self.totals.chain(scope(calling, Kind.FACT)))

    async def branch_totals(self, calling: Reader) -> BranchList:
        """The same at each branch."""
        found = await self.totals.branches(scope(calling, Kind.FACT))
        return BranchList(items=[BranchFiguresView.at(sums) for sums in found])

    async def category_totals(
        self,
        calling: Reader,
        level: Level = None,
        limit: Annotated[int, Query(ge=1, le=5_000)] = 100,
    ) -> CategoryList:
        """Net of the categories, the most first."""
        found = await self.totals.categories(scope(calling, Kind.FACT))
        return CategoryList(items=category_views(found, level, limit))

    async def suspected(self, calling: Reader) -> SuspectList:
        """Who had too many receipts on a day, at a branch that the caller may see."""
        found = await self.totals.suspected(scope(calling, Kind.FACT))
        return SuspectList(items=[SuspectView.of(each) for each in found])

    async def lift(self, who: str, calling: Judge, command_id: CommandId) -> None:
        """Say that it was no misuse: what is suspected of somebody so far is taken back."""
        narrow = scope(calling, Kind.FACT)
        totals = await self.totals.get(who)
        if totals is None or not any(narrow.allows(each.branch) for each in totals.branches):
            raise not_found("suspicion", who)
        lifting = LiftMisuse(at=self.clock.now(), by=calling.id)
        outcome = await lift_misuse(self.writer, command_id, who, lifting)
        if isinstance(outcome, Refused):
            raise outcome

    async def _has(self, customer: str, version: int) -> bool:
        return await self.totals.version(customer) >= version
