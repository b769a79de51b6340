"""HTTP of budgets: what branches may spend, and how much of a budget is spent by now."""

from dataclasses import dataclass
from datetime import tzinfo

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from services.notify.api.access import Reader, Writing, whole_chain
from services.notify.api.campaign_input import Input, Reference
from services.notify.api.delivery import MOST_MESSAGES
from services.notify.domain.branch_budget import Amount
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.budgets.branches import BranchBudgetBook, BranchSpending
from services.notify.handlers.budgets.campaigns import Budgets
from shared.access import Kind, scope
from shared.events.budgets import Allowance, BranchBudget, BranchBudgetsDefined
from shared.events.campaign import Budget
from shared.execute import Writer
from shared.http import CommandId, etag
from shared.http.preconditions import IfMatchUnlessNew

MOST_MONEY = 1_000_000_000_000_000


class AllowanceInput(Input):
    """What may be spent within a time; what is left out is not limited."""

    messages: int | None = Field(default=None, ge=1, le=MOST_MESSAGES)
    cost: int | None = Field(default=None, ge=1, le=MOST_MONEY, description="minor units")


class BranchBudgetInput(Input):
    """What goes out in the name of a branch; days and months are those of the chain's calendar."""

    branch: Reference
    per_day: AllowanceInput | None = None
    per_month: AllowanceInput | None = None

    def budget(self) -> BranchBudget:
        """The same as an event says it."""
        day, month = (
            None if each is None else Allowance(**each.model_dump())
            for each in (self.per_day, self.per_month)
        )
        return BranchBudget(branch=self.branch, per_day=day, per_month=month)


class BranchBudgetsInput(Input):
    """The budgets of all branches; whoever is not here has no limit."""

    budgets: tuple[BranchBudgetInput, ...] = ()


class BranchBudgetsView(BaseModel):
    """The budgets as they stand; version 0: nobody has defined any."""

    version: int
    currency: str | None
    budgets: tuple[BranchBudget, ...]


class SpentView(BaseModel):
    """So many messages, for so much."""

    messages: int
    cost: int = Field(description="minor units")


class BranchSpendingView(BaseModel):
    """What was spent in the name of a branch while it had a budget."""

    branch: str
    currency: str | None
    per_day: Allowance | None = Field(description="what it may spend; null: there is no limit")
    per_month: Allowance | None
    day: str = Field(description="on the chain's calendar")
    spent_today: SpentView
    month: str
    spent_this_month: SpentView


class CampaignSpendingView(BaseModel):
    """What was counted of a campaign's budget."""

    campaign: str
    budget: Budget | None
    messages: int = Field(description="in all its runs, while it had a budget")
    day: str = Field(description="on the chain's calendar")
    today: int
    this_minute: int
    left: int | None = Field(description="that may go now; null: any number")
    used_up: bool


@dataclass(frozen=True, slots=True)
class BudgetApi:
    """The endpoints, on what they need; `zone` and `currency` are the chain's."""

    writer: Writer
    campaigns: CampaignBook
    zone: tzinfo
    currency: str | None = None

    @property
    def branches(self) -> BranchBudgetBook:
        """The budgets of branches, to be read anew."""
        return BranchBudgetBook(self.writer)

    def router(self) -> APIRouter:
        """The routes of the budgets of branches, and of what is spent."""
        router = APIRouter(tags=["budgets"])
        branches = "/v1/branch-budgets"
        router.add_api_route(branches, self.get, methods=["GET"])
        router.add_api_route(branches, self.define, methods=["PUT"])
        router.add_api_route(f"{branches}/{{branch}}", self.of_branch, methods=["GET"])
        router.add_api_route("/v1/campaigns/{name}/budget", self.of_campaign, methods=["GET"])
        return router

    async def get(self, calling: Reader, response: Response) -> BranchBudgetsView:
        """What branches may spend on advertising."""
        whole_chain(calling)
        found = await self.branches.now()
        response.headers["ETag"] = etag(found.version)
        return BranchBudgetsView(
            version=found.version, currency=self.currency, budgets=found.definition.budgets
        )

    async def define(
        self,
        body: BranchBudgetsInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> BranchBudgetsView:
        """Give branches their (new) budgets; others than those that stand need `If-Match`.

        They count from the next second on. What went out in a branch's name before it had a budget
        is not counted.
        """
        whole_chain(calling)
        definition = BranchBudgetsDefined(budgets=tuple(each.budget() for each in body.budgets))
        await self.branches.define(command_id, definition, self.writer.clock.now(), rests_on)
        return await self.get(calling, response)

    async def of_branch(self, branch: Reference, calling: Reader) -> BranchSpendingView:
        """How much of its budget a branch has spent today and this month."""
        scope(calling, Kind.CAMPAIGN).require(branch)
        budget = (await self.branches.now()).by.get(branch)
        spent = await BranchSpending(self.writer, self.zone).spent(branch)
        return BranchSpendingView(
            branch=branch,
            currency=self.currency,
            per_day=None if budget is None else budget.per_day,
            per_month=None if budget is None else budget.per_month,
            day=spent.period.day,
            spent_today=_spent(spent.today),
            month=spent.period.month,
            spent_this_month=_spent(spent.this_month),
        )

    async def of_campaign(self, name: str, calling: Reader) -> CampaignSpendingView:
        """How much of its budget a campaign has spent."""
        whole_chain(calling)
        definition = (await self.campaigns.require(name)).campaign.definition
        budget = None if definition is None else definition.budget
        spent = await Budgets(self.writer, self.zone).spent(name)
        return CampaignSpendingView(
            campaign=name,
            budget=budget,
            messages=spent.messages,
            day=spent.day,
            today=spent.today,
            this_minute=spent.this_minute,
            left=None if budget is None else spent.left(budget),
            used_up=budget is not None and spent.is_used_up(budget),
        )


def _spent(amount: Amount) -> SpentView:
    return SpentView(messages=amount.messages, cost=amount.cost)
