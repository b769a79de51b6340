"""The chain's rules of points: read by all who read facts, changed by keys of the whole chain."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, StringConstraints

from services.interaction.api.points.desk import Configuring, PointsDesk, Reading
from services.interaction.domain.points.rules import LONGEST_DAYS, MAX_RATES, PointsRules
from services.interaction.handlers.incoming.forms import (
    LARGEST_AMOUNT,
    At,
    Branch,
    Input,
)
from shared.access import Kind, scope
from shared.events.contract import Moment
from shared.events.points import PointsRulesDefined, Rate
from shared.http import CommandId, IfMatchUnlessNew, etag

LONGEST_HOLD = 60 * 24 * 30
Category = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
Percent = Annotated[int, Field(ge=0, le=10_000, strict=True)]


class RateInput(Input):
    """How much of what is paid comes back, for a category with all below it, a branch, or both."""

    percent: Percent = Field(description="hundredths of a percent: 500 is 5 %")
    category: Category | None = None
    branch: Branch | None = None


class RulesInput(Input):
    """The rules, whole."""

    rates: tuple[RateInput, ...] = Field(default=(), max_length=MAX_RATES)
    minimum: int = Field(default=0, ge=0, le=LARGEST_AMOUNT, strict=True)
    pending_days: int = Field(default=0, ge=0, le=LONGEST_DAYS, strict=True)
    life: Annotated[str, StringConstraints(max_length=10)] | None = Field(
        default=None, description="such as P1Y; left out: for ever"
    )
    point_value: int = Field(ge=1, le=LARGEST_AMOUNT, strict=True, description="minor units")
    payable_percent: Percent = Field(default=10_000, description="of a receipt, in hundredths")
    on_points_paid: bool = Field(default=False, strict=True)
    history: bool = Field(default=False, strict=True)
    hold_minutes: int = Field(default=24 * 60, ge=1, le=LONGEST_HOLD, strict=True)
    since: At | None = Field(default=None, description="left out: from now on")

    def rules(self, now: datetime, by: str) -> PointsRulesDefined:
        """The same as the contract has it."""
        return PointsRulesDefined(
            rates=tuple(Rate(**rate.model_dump()) for rate in self.rates),
            by=by,
            since=self.since or now,
            **self.model_dump(exclude={"rates", "since"}),
        )


class RulesView(BaseModel):
    """A version of the rules."""

    version: int
    since: Moment
    counts: bool = Field(description="whether receipts go by it now")
    rates: list[Rate]
    minimum: int
    pending_days: int
    life: str | None
    point_value: int
    payable_percent: int
    on_points_paid: bool
    history: bool
    hold_minutes: int
    by: str | None


class RulesList(BaseModel):
    """All versions, the newest first."""

    items: list[RulesView]


@dataclass(frozen=True, slots=True)
class PointsRulesApi:
    """The endpoints of the rules."""

    desk: PointsDesk

    def router(self) -> APIRouter:
        """The routes below `/v1/points/rules`."""
        router = APIRouter(prefix="/v1/points/rules", tags=["points"])
        router.add_api_route("", self.versions, methods=["GET"])
        router.add_api_route("", self.define, methods=["PUT"])
        return router

    async def versions(self, _calling: Reading, response: Response) -> RulesList:
        """Every version of the rules; the ETag is that of the newest."""
        rules = await self.desk.book.now()
        response.headers["ETag"] = etag(rules.version)
        return RulesList(items=_views(rules, self.desk.clock.now()))

    async def define(
        self,
        body: RulesInput,
        calling: Configuring,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> RulesView:
        """Let other rules count, from now or from a later moment on."""
        scope(calling, Kind.CONFIGURATION).require(None)
        now = self.desk.clock.now()
        done = await self.desk.book.define(command_id, body.rules(now, calling.id), now, rests_on)
        response.headers["ETag"] = etag(done.version)
        views = _views(await self.desk.book.now(), now)
        return next(each for each in views if each.version == done.version)


def _views(rules: PointsRules, now: datetime) -> list[RulesView]:
    counting = rules.at(now)
    found = [
        RulesView(
            version=number,
            counts=counting is not None and counting[0] == number,
            rates=list(each.rates),
            **each.model_dump(exclude={"rates"}),
        )
        for number, each in enumerate(rules.versions, 1)
    ]
    return found[::-1]
