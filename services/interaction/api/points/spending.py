"""Points at the till: how many may pay for a basket, have them kept for its receipt, let them go.

Everything is named by the receipt, so that a till that lost its network asks again and is told
the same. The receipt itself says how many points have paid for it, and settles the matter.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.interaction.api.points.desk import (
    MOST_POINTS,
    InPath,
    PointsDesk,
    Reading,
    Spending,
)
from services.interaction.domain.facts import fact_id
from services.interaction.domain.points.balance import balance_at
from services.interaction.domain.points.commands import CancelSpending, Spend
from services.interaction.domain.points.rules import most_payable
from services.interaction.handlers.incoming.forms import (
    LARGEST_AMOUNT,
    Branch,
    Input,
    Source,
    Text,
)
from services.interaction.handlers.points.following import MAX_ATTEMPTS, spend_id
from shared.access import Kind, scope
from shared.events.contract import Moment
from shared.execute import Done
from shared.http import CommandId


class ReceiptNamed(Input):
    """A receipt that is about to come, by the ids that it will have."""

    source: Source = Field(default="pos", description="the system that will report it")
    receipt: Text = Field(description="its `source_id`")
    branch: Branch

    @property
    def fact(self) -> str:
        """The id of its fact."""
        return fact_id(self.source, self.branch, self.receipt)


class SpendInput(ReceiptNamed):
    """Points to be kept for a receipt."""

    points: int = Field(ge=1, le=MOST_POINTS, strict=True)
    total: int = Field(ge=0, le=LARGEST_AMOUNT, strict=True, description="of the receipt")
    attempt: int = Field(
        default=1,
        ge=1,
        le=MAX_ATTEMPTS,
        strict=True,
        description="counts up to ask for another number after a cancelled or lapsed one",
    )


class QuoteView(BaseModel):
    """How many points may pay for a basket."""

    customer: str
    usable: int = Field(description="that the customer can spend now")
    most: int = Field(description="that may pay for this basket")
    most_minor: int = Field(description="what these are worth")
    point_value: int = Field(description="minor units")


class SpendingView(BaseModel):
    """What became of the points of a receipt."""

    id: str = Field(description="of the fact that is the receipt")
    customer: str
    state: Literal["kept", "paid", "none"] = Field(
        description="`none`: cancelled, lapsed, or given back by a return"
    )
    points: int = Field(description="that are kept or have paid, less what was given back")
    lapses: Moment | None = Field(description="when they are let go unless the receipt has come")
    usable: int = Field(description="what is left to the customer")
    version: int = Field(description="of the ledger")
    repeated: bool


@dataclass(frozen=True, slots=True)
class SpendingApi:
    """The endpoints for tills."""

    desk: PointsDesk

    def router(self) -> APIRouter:
        """The routes below `/v1/customers/{customer}/points`."""
        router = APIRouter(prefix="/v1/customers/{customer}/points", tags=["points"])
        add = router.add_api_route
        add("/quote", self.quote, methods=["GET"])
        add("/spendings", self.spend, methods=["POST"], status_code=201)
        add("/spendings/cancel", self.cancel, methods=["POST"])
        return router

    async def quote(
        self,
        customer: InPath,
        calling: Reading,
        total: Annotated[int, Query(ge=0, le=LARGEST_AMOUNT, description="of the basket")],
        branch: Annotated[Branch, Query(description="where it is paid")],
    ) -> QuoteView:
        """How many points may pay for a basket; nothing is kept by asking."""
        scope(calling, Kind.POINTS).require(branch)
        now = self.desk.clock.now()
        _, rule = await self.desk.rules(now)
        holder, state, _ = await self.desk.ledger(customer)
        usable = balance_at(state, now).usable
        most = min(usable, most_payable(rule, total))
        return QuoteView(
            customer=holder,
            usable=usable,
            most=most,
            most_minor=most * rule.point_value,
            point_value=rule.point_value,
        )

    async def spend(self, customer: InPath, body: SpendInput, calling: Spending) -> SpendingView:
        """Have points kept for a receipt; of several who ask at once, nobody gets too many."""
        scope(calling, Kind.POINTS).require(body.branch)
        now = self.desk.clock.now()
        _, rule = await self.desk.rules(now)
        command = Spend(
            at=now,
            spending=body.fact,
            points=body.points,
            most=most_payable(rule, body.total),
            total=body.total,
            lapses=now + timedelta(minutes=rule.hold_minutes),
            branch=body.branch,
        )
        command_id = spend_id(body.fact, body.attempt)
        done = await self.desk.carry_out(command_id, customer, "spend", body, command)
        return await self._view(customer, body.fact, done)

    async def cancel(
        self, customer: InPath, body: ReceiptNamed, calling: Spending, command_id: CommandId
    ) -> SpendingView:
        """Let go what is kept for a receipt that will not come, if anything is."""
        scope(calling, Kind.POINTS).require(body.branch)
        command = CancelSpending(at=self.desk.clock.now(), spending=body.fact)
        done = await self.desk.carry_out(command_id, customer, "cancel", body, command)
        return await self._view(customer, body.fact, done)

    async def _view(self, customer: str, fact: str, done: Done) -> SpendingView:
        holder, state, version = await self.desk.ledger(customer)
        found = state.spendings.get(fact)
        usable = balance_at(state, self.desk.clock.now()).usable
        return SpendingView(
            id=fact,
            customer=holder,
            state="none" if found is None else "paid" if found.lapses is None else "kept",
            points=0 if found is None else found.points - found.given_back,
            lapses=None if found is None else found.lapses,
            usable=usable,
            version=version,
            repeated=done.repeated,
        )
