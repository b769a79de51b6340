"""Budgets at work: a batch counts what it is about to send, and gives back what did not happen.

What is counted is one append per batch and campaign, whatever the batch holds, and campaigns
without a budget cost nothing. Of two dispatchers that count at once one is told that the page has
moved on, reads it again, and gets what is left. A process that is killed in between leaves
messages of one batch counted that were never sent: too few may go out by that, never too many.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

import structlog

from services.notify.domain import (
    Defer,
    FallBack,
    HoldOut,
    MessageCommand,
    Postpone,
    RecordFailed,
    Suppress,
)
from services.notify.domain.budget import (
    BUDGET,
    Purse,
    Queueing,
    Spent,
    When,
    counting,
    page_stream,
    pages_prefix,
    times_of,
)
from services.notify.handlers.books.campaigns import Entry
from services.notify.handlers.budgets.pages import Pages
from services.notify.handlers.deciding.plans import Plan
from services.notify.projections import QueuedMessage
from shared.events.campaign import Budget
from shared.eventstore import StoreUnavailable
from shared.execute import Writer

ATTEMPTS = 5
"""So often a count is tried again that somebody else was faster with; then it waits its turn."""

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class Budgets:
    """The budgets of one dispatcher; `zone` is the chain's.

    It remembers the messages for which it has counted one, until it knows what became of it.
    """

    writer: Writer
    zone: tzinfo
    _pages: Pages[Spent] = field(init=False)
    _queueing: dict[str, Queueing] = field(default_factory=dict)
    _held: dict[str, When] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._pages = Pages(self.writer, BUDGET, pages_prefix, page_stream)

    async def of(
        self, campaigns: Mapping[str, Entry], found: Iterable[QueuedMessage]
    ) -> Mapping[str, Purse]:
        """What is left to the campaigns of the batch that have a budget.

        Raises `StoreUnavailable`.
        """
        budgets = {
            name: budget
            for name in {message.campaign for message in found}
            if (budget := _budget_of(campaigns.get(name))) is not None
        }
        await self._pages.refresh(budgets)
        times = times_of(self.writer.clock.now(), self.zone)
        return {
            name: Purse(
                budget,
                self._pages[name].spent.by(times),
                times,
                self.zone,
                self._queueing.setdefault(name, Queueing()),
                self._held,
            )
            for name, budget in budgets.items()
        }

    async def spent(self, campaign: str) -> Spent:
        """What a campaign has spent by now. Raises `StoreUnavailable`."""
        await self._pages.refresh([campaign])
        return self._pages[campaign].spent.by(times_of(self.writer.clock.now(), self.zone))

    async def take(self, purses: Mapping[str, Purse], plans: Sequence[Plan]) -> Sequence[Plan]:
        """The plans that may be carried out: what they take of budgets is counted now.

        Raises `StoreUnavailable`.
        """
        taking: dict[str, list[Plan]] = {}
        for plan in plans:
            if plan.message.campaign in purses and plan.first:
                taking.setdefault(plan.message.campaign, []).append(plan)
        beyond: set[str] = set()
        for name, wanting in sorted(taking.items()):
            new = [plan.message.id for plan in wanting if plan.message.id not in self._held]
            granted = await self._count(name, purses[name].budget, len(new))
            self._held |= dict.fromkeys(new[:granted], self._pages[name].spent.when)
            beyond.update(new[granted:])
        return [plan for plan in plans if plan.message.id not in beyond]

    async def give_back(
        self,
        purses: Mapping[str, Purse],
        plans: Sequence[Plan],
        begun: Collection[str],
        results: Iterable[MessageCommand],
    ) -> None:
        """Of what was counted for the plans, give back what has certainly reached nobody.

        `begun` are the messages whose hand-over began here, `results` what came of them.
        """
        in_vain = certainly_not_sent(plans, begun, results)
        unused: dict[tuple[str, When], int] = {}
        for plan in plans:
            name, message = plan.message.campaign, plan.message.id
            if name not in purses or message not in self._held:
                continue
            when = self._held.pop(message)
            if message in in_vain:
                unused[name, when] = unused.get((name, when), 0) + 1
        for (name, when), count in unused.items():
            try:
                await self._count(name, purses[name].budget, -count, when)
            except StoreUnavailable as failure:
                # They stay counted: rather too few go out than too many.
                log.warning("budget not given back", count=count, reason=str(failure))

    async def _count(self, name: str, budget: Budget, count: int, when: When | None = None) -> int:
        """Count so many more, or as many as are left; how many.

        Less than 0: all of them are given back, of those that were counted `when`.
        """
        for _ in range(ATTEMPTS):
            page, at = self._pages[name], self.writer.clock.now()
            spent = page.spent.by(times_of(at, self.zone))
            left = spent.left(budget)
            granted = count if left is None else min(count, left)
            if granted == 0:
                return 0
            events = counting(name, page.number, spent, spent.counted(granted, when), at)
            if await self._pages.append(name, events):
                return granted
            await self._pages.refresh([name])
        return 0


def certainly_not_sent(
    plans: Sequence[Plan], begun: Collection[str], results: Iterable[MessageCommand]
) -> Collection[str]:
    """The messages of a batch that it has certainly brought to nobody.

    `begun` are those whose hand-over began here, `results` what came of them.
    """
    in_vain = {
        result.message for result in results if isinstance(result, RecordFailed | Defer | FallBack)
    }
    return {
        plan.message.id
        for plan in plans
        if isinstance(plan.command, Defer | Postpone | Suppress | HoldOut)
        or plan.message.id not in begun
        or plan.message.id in in_vain
    }


def _budget_of(entry: Entry | None) -> Budget | None:
    definition = None if entry is None else entry.campaign.definition
    return None if definition is None else definition.budget
