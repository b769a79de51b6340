"""Budgets of branches: how many messages, for how much, go out in a branch's name.

They are of a day and of a month of the chain's calendar, in messages, in money, or in both. As with
campaigns, what is about to be handed over is counted before it begins, in a stream of the branch's
own that is kept in pages, and what did not happen is given back: so never more is spent than a
budget has. Days and months never go back: a clock that is behind counts to the later ones.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from services.notify.domain import budget as campaigns
from shared.decider import Decider, NewEvent, invalid
from shared.events.budgets import (
    Allowance,
    BranchBudget,
    BranchBudgetsDefined,
    BranchSpendingContinued,
    BranchSpendingCounted,
)
from shared.events.contract import EventData

BUDGETS_STREAM = "sending-branch-budgets"
MOST_BRANCHES = 2_000
_PREFIX = "branch-budget-"


def pages_prefix(branch: str) -> str:
    """What the streams of a branch's spending begin with."""
    return f"{_PREFIX}{branch}|"


def page_stream(branch: str, page: int) -> str:
    """The stream of a page; they sort by number."""
    return f"{pages_prefix(branch)}{page:06d}"


@dataclass(frozen=True, slots=True)
class Amount:
    """So many messages, for so much in minor units; less than 0: given back."""

    messages: int = 0
    cost: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        """Both together."""
        return Amount(self.messages + other.messages, self.cost + other.cost)

    def __neg__(self) -> "Amount":
        """The same, given back."""
        return Amount(-self.messages, -self.cost)

    def without(self, other: "Amount") -> "Amount":
        """What is left, never less than nothing."""
        return Amount(
            max(0, self.messages - other.messages),
            max(0, self.cost - other.cost),
        )


NOTHING = Amount()


@dataclass(frozen=True, slots=True)
class Period:
    """The day and the month of a moment: `2018-01-02`, `2018-01`."""

    day: str = ""
    month: str = ""


def period_of(at: datetime, zone: tzinfo) -> Period:
    """Those of the chain's calendar; `zone` is the chain's."""
    day = at.astimezone(zone).date().isoformat()
    return Period(day, day[:7])


@dataclass(frozen=True, slots=True)
class BranchSpent:
    """What was counted by the end of a page; `version` counts its events.

    `next_page` is where it goes on, once the page is full.
    """

    version: int = 0
    period: Period = field(default_factory=Period)
    today: Amount = NOTHING
    this_month: Amount = NOTHING
    next_page: int | None = None

    def by(self, period: Period) -> "BranchSpent":
        """The same seen in a period: a new day and a new month begin at nothing."""
        return replace(
            self,
            period=Period(
                max(self.period.day, period.day),
                max(self.period.month, period.month),
            ),
            today=self.today if self.period.day >= period.day else NOTHING,
            this_month=self.this_month if self.period.month >= period.month else NOTHING,
        )

    def counted(self, amount: Amount) -> "BranchSpent":
        """With so much more."""
        return replace(self, today=self.today + amount, this_month=self.this_month + amount)

    def returned(self, amount: Amount, counted_in: Period) -> "BranchSpent":
        """Without what was counted in a period: a later day or month has counted its own."""
        same_day, same_month = (
            counted_in.day == self.period.day,
            counted_in.month == self.period.month,
        )
        return replace(
            self,
            today=self.today.without(amount) if same_day else self.today,
            this_month=self.this_month.without(amount) if same_month else self.this_month,
        )

    def affords(self, budget: BranchBudget, amount: Amount) -> bool:
        """Whether so much more is within the budget."""
        return _fits(budget.per_day, self.today, amount) and _fits(
            budget.per_month, self.this_month, amount
        )


def _fits(allowance: Allowance | None, spent: Amount, more: Amount) -> bool:
    """What costs nothing is within any budget of money that is not overdrawn."""
    if allowance is None:
        return True
    after = spent + more
    most_messages, most_cost = allowance.messages, allowance.cost
    return (most_messages is None or after.messages <= most_messages) and (
        most_cost is None or after.cost <= most_cost
    )


def counting(
    branch: str, page: int, before: BranchSpent, after: BranchSpent, *, amount: Amount, at: datetime
) -> Mapping[str, Sequence[NewEvent]]:
    """The events that count an amount; `before` is the last page as it is by then.

    A full page is closed by the first of the next one, in one transaction.
    """
    said = NewEvent(
        BranchSpendingCounted(
            branch=branch,
            count=amount.messages,
            cost=amount.cost,
            day=after.period.day,
            today=after.today.messages,
            cost_today=after.today.cost,
            month=after.period.month,
            this_month=after.this_month.messages,
            cost_this_month=after.this_month.cost,
        ),
        at,
    )
    if before.version < campaigns.PAGE_EVENTS:
        return {page_stream(branch, page): [said]}
    on = NewEvent(BranchSpendingContinued(branch=branch, page=page + 1), at)
    return {page_stream(branch, page + 1): [said], page_stream(branch, page): [on]}


def evolve(state: BranchSpent, data: EventData) -> BranchSpent:
    """The page after an event."""
    state = replace(state, version=state.version + 1)
    match data:
        case BranchSpendingCounted():
            return replace(
                state,
                period=Period(data.day, data.month),
                today=Amount(data.today, data.cost_today),
                this_month=Amount(data.this_month, data.cost_this_month),
            )
        case BranchSpendingContinued(page=page):
            return replace(state, next_page=page)
        case _:
            text = f"a branch's spending has no event {data.type}"
            raise TypeError(text)


def _undecided(_command: object, _state: BranchSpent) -> Sequence[NewEvent]:
    return ()


BRANCH_SPENDING: Decider[object, BranchSpent] = Decider(BranchSpent, _undecided, evolve)
"""Folds a page; what is counted is decided on its end by `counting`."""


@dataclass(slots=True)
class BranchPurse:
    """A branch's budget within one look: what the messages of the batch may take of it.

    `held` are messages that were counted before, and of which nobody knows yet what became.
    """

    budget: BranchBudget
    spent: BranchSpent
    held: Collection[str] = ()
    taken: Amount = NOTHING

    def affords(self, message: str, cost: int) -> bool | None:
        """Whether a message may go; None: what this batch takes may be the last of it."""
        one = Amount(1, cost)
        if message in self.held:
            return True
        if not self.spent.affords(self.budget, one):
            return False
        return True if self.spent.affords(self.budget, self.taken + one) else None

    def take(self, message: str, cost: int) -> None:
        """It goes with this batch."""
        if message not in self.held:
            self.taken += Amount(1, cost)

    def put_back(self, message: str, cost: int) -> None:
        """It does not go now."""
        if message not in self.held:
            self.taken += Amount(-1, -cost)


@dataclass(frozen=True, slots=True)
class BranchBudgets:
    """The budgets as their stream has them, by branch."""

    version: int = 0
    definition: BranchBudgetsDefined = field(default_factory=BranchBudgetsDefined)
    by: Mapping[str, BranchBudget] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DefineBranchBudgets:
    """Give branches their (new) budgets; `may_replace` is asked with the version that stands."""

    definition: BranchBudgetsDefined
    at: datetime
    may_replace: Callable[[int], None] = lambda _version: None


def decide(command: DefineBranchBudgets, state: BranchBudgets) -> Sequence[NewEvent]:
    """The event that follows, or the refusal that names what is wrong."""
    definition = command.definition
    if len(definition.budgets) > MOST_BRANCHES:
        raise invalid("budgets", f"at most {MOST_BRANCHES} of them")
    seen: set[str] = set()
    for place, each in enumerate(definition.budgets):
        path = f"budgets.{place}"
        if each.branch in seen:
            raise invalid(f"{path}.branch", "has a budget already")
        seen.add(each.branch)
        if each.per_day is None and each.per_month is None:
            raise invalid(path, "says `per_day` or `per_month`")
        for name, allowance in (("per_day", each.per_day), ("per_month", each.per_month)):
            if allowance is not None:
                _check(allowance, f"{path}.{name}")
    if definition == state.definition:
        return ()
    if state.version:
        command.may_replace(state.version)
    return (NewEvent(definition, command.at),)


def _check(allowance: Allowance, path: str) -> None:
    if allowance.messages is None and allowance.cost is None:
        raise invalid(path, "says `messages` or `cost`")
    if allowance.cost is not None and allowance.cost < 1:
        raise invalid(f"{path}.cost", "1 at the least, in minor units")


def defined(state: BranchBudgets, data: EventData) -> BranchBudgets:
    """The budgets after an event."""
    if isinstance(data, BranchBudgetsDefined):
        return BranchBudgets(state.version + 1, data, {each.branch: each for each in data.budgets})
    message = f"budgets of branches have no event {data.type}"
    raise TypeError(message)


BRANCH_BUDGETS: Decider[DefineBranchBudgets, BranchBudgets] = Decider(
    BranchBudgets, decide, defined
)
