"""Totals out: of a customer, of the chain, of its branches, as far as the caller may see."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from services.interaction.domain.receipts import stream_of
from services.interaction.projections.totals import CustomerTotals
from services.interaction.queries.customers import Customers
from services.interaction.queries.totals import Totals
from shared.access import Kind, Permission, Principal, Scope, scope
from shared.decider import not_found
from shared.events.contract import Moment
from shared.http import MinVersion, etag, principal, until

Reader = Annotated[Principal, Depends(principal(Permission.FACTS_READ))]


class BranchTotalsView(BaseModel):
    """What a customer has done at one branch."""

    branch: str
    receipts: int
    spent_minor: int
    average_minor: int = Field(description="per receipt, half a unit rounded away from zero")
    first: Moment
    last: Moment


class CustomerTotalsView(BaseModel):
    """What a customer has done at the branches that the caller may see."""

    customer: str
    version: int = Field(description="of the customer's facts, all branches'")
    receipts: int
    spent_minor: int
    average_minor: int | None = Field(description="null without a receipt")
    first: Moment | None
    last: Moment | None
    branches: list[BranchTotalsView]


class ChainTotalsView(BaseModel):
    """What all customers have done at the branches that the caller may see."""

    customers: int = Field(description="with at least one receipt")
    receipts: int
    turnover_minor: int


class BranchFiguresView(ChainTotalsView):
    """What all customers have done at one branch."""

    branch: str
    first: Moment
    last: Moment


class BranchList(BaseModel):
    """All branches with a receipt that the caller may see, by name."""

    items: list[BranchFiguresView]


@dataclass(frozen=True, slots=True)
class TotalsApi:
    """The endpoints, on what they need."""

    customers: Customers
    totals: Totals

    def router(self) -> APIRouter:
        """The routes `/v1/customers/{customer}/totals` and `/v1/totals`."""
        router = APIRouter(prefix="/v1", tags=["totals"])
        router.add_api_route("/customers/{customer}/totals", self.customer_totals, methods=["GET"])
        router.add_api_route("/totals", self.chain_totals, methods=["GET"])
        router.add_api_route("/totals/branches", self.branch_totals, methods=["GET"])
        return router

    async def customer_totals(
        self, customer: str, calling: Reader, response: Response, min_version: MinVersion = None
    ) -> CustomerTotalsView:
        """What one customer has done."""
        if min_version is not None:
            await until(lambda: self._has(customer, min_version))
        totals = await self.totals.get(customer)
        if totals is None and not await self.customers.exists(customer):
            raise not_found("customer", customer)
        view = _customer_view(customer, totals, scope(calling, Kind.FACT))
        response.headers["ETag"] = etag(view.version)
        return view

    async def chain_totals(self, calling: Reader) -> ChainTotalsView:
        """What all customers have done."""
        sums = await self.totals.chain(scope(calling, Kind.FACT))
        return ChainTotalsView(
            customers=sums.customers, receipts=sums.receipts, turnover_minor=sums.turnover
        )

    async def branch_totals(self, calling: Reader) -> BranchList:
        """What all customers have done at each branch."""
        return BranchList(
            items=[
                BranchFiguresView(
                    branch=sums.branch,
                    customers=sums.customers,
                    receipts=sums.receipts,
                    turnover_minor=sums.turnover,
                    first=sums.first,
                    last=sums.last,
                )
                for sums in await self.totals.branches(scope(calling, Kind.FACT))
            ]
        )

    async def _has(self, customer: str, version: int) -> bool:
        return await self.totals.version(customer) >= version


def _customer_view(
    customer: str, totals: CustomerTotals | None, narrow: Scope
) -> CustomerTotalsView:
    """The totals at the branches of the scope; they are sums over branches anyway."""
    versions = {} if totals is None else totals.versions
    seen = (
        [] if totals is None else [each for each in totals.branches if narrow.allows(each.branch)]
    )
    receipts, spent = sum(each.receipts for each in seen), sum(each.spent for each in seen)
    return CustomerTotalsView(
        customer=customer,
        version=versions.get(stream_of(customer), 0),
        receipts=receipts,
        spent_minor=spent,
        average_minor=_average(spent, receipts) if receipts else None,
        first=min((each.first for each in seen), default=None),
        last=max((each.last for each in seen), default=None),
        branches=[
            BranchTotalsView(
                branch=each.branch,
                receipts=each.receipts,
                spent_minor=each.spent,
                average_minor=_average(each.spent, each.receipts),
                first=each.first,
                last=each.last,
            )
            for each in sorted(seen, key=lambda each: each.branch)
        ],
    )


def _average(spent: int, receipts: int) -> int:
    return int((Decimal(spent) / receipts).quantize(Decimal(1), rounding=ROUND_HALF_UP))
