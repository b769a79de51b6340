"""Points that people give and take away, with the reason why."""

from dataclasses import dataclass

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.interaction.api.points.desk import MOST_POINTS, Giving, InPath, PointsDesk
from services.interaction.domain.points.balance import balance_at
from services.interaction.domain.points.commands import Grant, Withdraw
from services.interaction.domain.points.rules import after
from services.interaction.handlers.incoming.forms import At, Branch, Input, Text
from shared.access import Kind, Principal, scope
from shared.execute import Done
from shared.http import CommandId
from shared.ids import derived_id


class WithdrawInput(Input):
    """Points to be taken away."""

    points: int = Field(ge=1, le=MOST_POINTS, strict=True)
    reason: Text
    branch: Branch | None = Field(
        default=None, description="that answers for it; a key of some branches names one of them"
    )


class GrantInput(WithdrawInput):
    """Points to be given."""

    expires: At | None = Field(
        default=None, description="left out: after the life that the rules give to earned points"
    )


class ChangedView(BaseModel):
    """The answer to a change by hand."""

    customer: str
    usable: int
    owed: int
    version: int = Field(description="of the ledger")
    repeated: bool


@dataclass(frozen=True, slots=True)
class ByHandApi:
    """The endpoints for people."""

    desk: PointsDesk

    def router(self) -> APIRouter:
        """The routes below `/v1/customers/{customer}/points`."""
        router = APIRouter(prefix="/v1/customers/{customer}/points", tags=["points"])
        router.add_api_route("/grants", self.grant, methods=["POST"], status_code=201)
        router.add_api_route("/withdrawals", self.withdraw, methods=["POST"], status_code=201)
        return router

    async def grant(
        self, customer: InPath, body: GrantInput, calling: Giving, command_id: CommandId
    ) -> ChangedView:
        """Give points; they can be spent at once."""
        _require(calling, body)
        now = self.desk.clock.now()
        rule = (await self.desk.book.now()).at(now)
        life = None if rule is None else after(now, rule[1].life)
        command = Grant(
            at=now,
            grant=derived_id("points-grant", command_id),
            points=body.points,
            expires=body.expires or life,
            reason=body.reason,
            by=calling.id,
            branch=body.branch,
        )
        done = await self.desk.carry_out(command_id, customer, "grant", body, command)
        return await self._view(customer, done)

    async def withdraw(
        self, customer: InPath, body: WithdrawInput, calling: Giving, command_id: CommandId
    ) -> ChangedView:
        """Take away points that can be spent, those that expire first."""
        _require(calling, body)
        command = Withdraw(
            at=self.desk.clock.now(),
            points=body.points,
            reason=body.reason,
            by=calling.id,
            branch=body.branch,
        )
        done = await self.desk.carry_out(command_id, customer, "withdraw", body, command)
        return await self._view(customer, done)

    async def _view(self, customer: str, done: Done) -> ChangedView:
        holder, state, version = await self.desk.ledger(customer)
        found = balance_at(state, self.desk.clock.now())
        return ChangedView(
            customer=holder,
            usable=found.usable,
            owed=found.owed,
            version=version,
            repeated=done.repeated,
        )


def _require(calling: Principal, body: WithdrawInput) -> None:
    scope(calling, Kind.POINTS).require(body.branch)
