"""Budgets of branches at work: what a batch is about to spend is counted before it begins.

Each branch is one append per batch, several side by side, and branches without a budget cost
nothing. What did not happen is given back after the batch. As with campaigns, a process that is
killed in between leaves one batch counted that was never sent: too little may go out by that,
never too much.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import ClassVar

import structlog

from services.notify.domain import BeginSending, MessageCommand
from services.notify.domain.branch_budget import (
    BRANCH_BUDGETS,
    BRANCH_SPENDING,
    BUDGETS_STREAM,
    NOTHING,
    Amount,
    BranchBudgets,
    BranchPurse,
    BranchSpent,
    DefineBranchBudgets,
    Period,
    counting,
    page_stream,
    pages_prefix,
    period_of,
)
from services.notify.handlers.books.standing import MayReplace, StandingBook
from services.notify.handlers.budgets.campaigns import ATTEMPTS, certainly_not_sent
from services.notify.handlers.budgets.pages import Pages
from services.notify.handlers.deciding.plans import Plan
from shared.decider import Decider
from shared.events.budgets import BranchBudget, BranchBudgetsDefined
from shared.eventstore import StoreUnavailable
from shared.execute import Done, Writer
from shared.side_by_side import side_by_side

AT_ONCE = 8

log = structlog.stdlib.get_logger(__name__)


class BranchBudgetBook(StandingBook[BranchBudgets]):
    """The budgets of branches; who changes them here, sees it at once."""

    decider: ClassVar[Decider[DefineBranchBudgets, BranchBudgets]] = BRANCH_BUDGETS
    stream: ClassVar[str] = BUDGETS_STREAM

    async def define(
        self,
        command_id: str,
        definition: BranchBudgetsDefined,
        at: datetime,
        may_replace: MayReplace,
    ) -> Done:
        """Give branches their (new) budgets. Raises `Refused` that names what is wrong in them."""
        return await self._change(
            command_id, definition, DefineBranchBudgets(definition, at, may_replace)
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What was counted for a message, and in which day and month."""

    branch: str
    amount: Amount
    period: Period


@dataclass(slots=True)
class BranchSpending:
    """The budgets of branches, for one dispatcher; `zone` is the chain's.

    It remembers the messages for which it has counted, until it knows what became of them.
    """

    writer: Writer
    zone: tzinfo
    book: BranchBudgetBook = field(init=False)
    _pages: Pages[BranchSpent] = field(init=False)
    _held: dict[str, Held] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self.book = BranchBudgetBook(self.writer)
        self._pages = Pages(self.writer, BRANCH_SPENDING, pages_prefix, page_stream)

    async def of(self, branches: Collection[str]) -> Mapping[str, BranchPurse]:
        """What is left to those of the branches that have a budget. Raises `StoreUnavailable`."""
        budgets = (await self.book.fresh()).by
        asked = {name: budgets[name] for name in set(branches) if name in budgets}
        await self._pages.refresh(asked)
        period = self._period()
        return {
            name: BranchPurse(
                budget,
                self._pages[name].spent.by(period),
                {message for message, held in self._held.items() if held.branch == name},
            )
            for name, budget in asked.items()
        }

    async def spent(self, branch: str) -> BranchSpent:
        """What was spent in a branch's name by now. Raises `StoreUnavailable`."""
        await self._pages.refresh([branch])
        return self._pages[branch].spent.by(self._period())

    async def take(
        self, purses: Mapping[str, BranchPurse], plans: Sequence[Plan]
    ) -> Sequence[Plan]:
        """The plans that may be carried out: what they take of budgets is counted now.

        Raises `StoreUnavailable`.
        """
        taking: dict[str, list[Plan]] = {}
        for plan in plans:
            if plan.branch is not None and plan.branch in purses and plan.first:
                taking.setdefault(plan.branch, []).append(plan)
        beyond: set[str] = set()

        async def count(branch: str) -> None:
            granted = await self._count(branch, purses[branch].budget, taking[branch])
            beyond.update(each.message.id for each in taking[branch] if each not in granted)

        await side_by_side(count, sorted(taking), AT_ONCE)
        return [plan for plan in plans if plan.message.id not in beyond]

    async def give_back(
        self, plans: Sequence[Plan], begun: Collection[str], results: Iterable[MessageCommand]
    ) -> None:
        """Of what was counted for the plans, give back what has certainly reached nobody.

        `begun` are the messages whose hand-over began here, `results` what came of them.
        """
        unused: dict[tuple[str, Period], Amount] = {}
        in_vain = certainly_not_sent(plans, begun, results)
        for plan in plans:
            held = self._held.pop(plan.message.id, None)
            if held is not None and plan.message.id in in_vain:
                place = held.branch, held.period
                unused[place] = unused.get(place, NOTHING) + held.amount
        for (branch, period), amount in sorted(unused.items(), key=lambda each: each[0][0]):
            try:
                await self._return(branch, amount, period)
            except StoreUnavailable as failure:
                # It stays counted: rather too little goes out than too much.
                log.warning("branch budget not given back", reason=str(failure))

    async def _count(
        self, branch: str, budget: BranchBudget, plans: Sequence[Plan]
    ) -> Sequence[Plan]:
        """Count what the plans need, as far as it goes; gives those that may be carried out."""
        for _ in range(ATTEMPTS):
            spent, amount, granted = self._seen(branch), NOTHING, list[Plan]()
            for plan in plans:
                more = _needed(plan) + -self._counted(branch, plan.message.id)
                if more == NOTHING or spent.affords(budget, amount + more):
                    granted.append(plan)
                    amount += more
            if amount == NOTHING or await self._append(
                branch, spent, spent.counted(amount), amount
            ):
                period = self._pages[branch].spent.period
                for plan in granted:
                    if self._counted(branch, plan.message.id) != _needed(plan):
                        self._held[plan.message.id] = Held(branch, _needed(plan), period)
                return granted
            await self._pages.refresh([branch])
        return []

    async def _return(self, branch: str, amount: Amount, counted_in: Period) -> None:
        for _ in range(ATTEMPTS):
            spent = self._seen(branch)
            after = spent.returned(amount, counted_in)
            if await self._append(branch, spent, after, -amount):
                return
            await self._pages.refresh([branch])

    async def _append(
        self, branch: str, before: BranchSpent, after: BranchSpent, amount: Amount
    ) -> bool:
        if before == after:
            return True
        page, at = self._pages[branch].number, self.writer.clock.now()
        events = counting(branch, page, before, after, amount=amount, at=at)
        return await self._pages.append(branch, events)

    def _seen(self, branch: str) -> BranchSpent:
        return self._pages[branch].spent.by(self._period())

    def _counted(self, branch: str, message: str) -> Amount:
        held = self._held.get(message)
        return NOTHING if held is None or held.branch != branch else held.amount

    def _period(self) -> Period:
        return period_of(self.writer.clock.now(), self.zone)


def _needed(plan: Plan) -> Amount:
    cost = plan.command.cost if isinstance(plan.command, BeginSending) else None
    return Amount(1, cost or 0)
