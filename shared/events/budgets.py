"""Events of budgets: what was let go of a campaign's, or of a branch's, batch by batch.

Each says the totals after it, so the last one is all that a reader needs. A budget is told in pages
of some hundred events: who counts reads the last page, however long it has been counted.
"""

from typing import ClassVar

from pydantic import Field

from shared.events.contract import EventData, MinorUnits, Moment, Part


class BudgetCounted(EventData):
    """So many hand-overs may begin; or so many did not happen and count no more."""

    type: ClassVar[str] = "sending.budget_counted.v1"
    campaign: str
    count: int = Field(description="less than 0: given back")
    messages: int = Field(ge=0, description="in all, after it")
    day: str = Field(description="of the chain's calendar, ISO 8601")
    today: int = Field(ge=0, description="of the day, after it")
    minute: Moment = Field(description="the beginning of the minute")
    this_minute: int = Field(ge=0, description="of the minute, after it")


class BudgetContinued(EventData):
    """The page is full: the budget is counted on the next one."""

    type: ClassVar[str] = "sending.budget_continued.v1"
    campaign: str
    page: int = Field(ge=1, description="of the next one")


class Allowance(Part):
    """What may be spent within a time; what is absent is not limited."""

    messages: int | None = Field(default=None, ge=1)
    cost: MinorUnits | None = Field(default=None, description="minor units, 1 at the least")


class BranchBudget(Part):
    """What is let go in the name of a branch; days and months are those of the chain's calendar."""

    branch: str
    per_day: Allowance | None = None
    per_month: Allowance | None = None


class BranchBudgetsDefined(EventData):
    """What branches may spend on advertising; whoever is not here has no limit."""

    type: ClassVar[str] = "sending.branch_budgets_defined.v1"
    budgets: tuple[BranchBudget, ...] = ()


class BranchSpendingCounted(EventData):
    """So much may be handed over in the name of a branch; or so much was not, and counts no more.

    Costs are in minor units.
    """

    type: ClassVar[str] = "sending.branch_counted.v1"
    branch: str
    count: int = Field(description="messages; less than 0: given back")
    cost: MinorUnits = Field(description="of them")
    day: str = Field(description="of the chain's calendar, ISO 8601")
    today: int = Field(ge=0, description="messages of the day, after it")
    cost_today: MinorUnits
    month: str = Field(description="of the chain's calendar: 2018-01")
    this_month: int = Field(ge=0, description="messages of the month, after it")
    cost_this_month: MinorUnits


class BranchSpendingContinued(EventData):
    """The page is full: the spending is counted on the next one."""

    type: ClassVar[str] = "sending.branch_continued.v1"
    branch: str
    page: int = Field(ge=1, description="of the next one")


EVENTS: tuple[type[EventData], ...] = (
    BudgetCounted,
    BudgetContinued,
    BranchBudgetsDefined,
    BranchSpendingCounted,
    BranchSpendingContinued,
)
