"""All budgets of a batch: of its campaigns, then of the branches in whose name it goes out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from services.notify.domain import MessageCommand
from services.notify.handlers.books.campaigns import Entry
from services.notify.handlers.budgets.branches import BranchSpending
from services.notify.handlers.budgets.campaigns import Budgets
from services.notify.handlers.deciding.charging import Charging, Tariff, branch_of
from services.notify.handlers.deciding.examining import Examination
from services.notify.handlers.deciding.plans import Plan
from services.notify.projections import QueuedMessage, Recipient
from shared.execute import Writer


@dataclass(frozen=True, slots=True)
class Spending:
    """The budgets of one dispatcher."""

    campaigns: Budgets
    branches: BranchSpending

    @classmethod
    def of(cls, writer: Writer, zone: tzinfo) -> "Spending":
        """Those in the store that is written to; `zone` is the chain's."""
        return cls(Budgets(writer, zone), BranchSpending(writer, zone))

    async def charging(
        self,
        tariff: Tariff,
        campaigns: Mapping[str, Entry],
        found: Iterable[QueuedMessage],
        recipients: Mapping[str, Recipient],
    ) -> Charging:
        """What messages cost, and what is left to their branches. Raises `StoreUnavailable`."""
        asked = set[str]()
        if not (await self.branches.book.fresh()).by:
            return Charging(tariff)
        for message in found:
            entry, person = campaigns.get(message.campaign), recipients.get(message.customer)
            definition = None if entry is None else entry.campaign.definition
            home = None if person is None else person.home_branch
            branch = None if definition is None else branch_of(definition, home)
            if branch is not None:
                asked.add(branch)
        return Charging(tariff, await self.branches.of(asked))

    async def take(self, seen: Examination, plans: Sequence[Plan]) -> Sequence[Plan]:
        """The plans that may be carried out: what they take of budgets is counted now.

        Raises `StoreUnavailable`.
        """
        within = await self.campaigns.take(seen.budgets, plans)
        may_go = await self.branches.take(seen.charging.purses, within)
        if len(may_go) < len(within):
            kept = {plan.message.id for plan in may_go}
            beyond = [plan for plan in within if plan.message.id not in kept]
            await self.campaigns.give_back(seen.budgets, beyond, (), ())
        return may_go

    async def give_back(
        self,
        seen: Examination,
        plans: Sequence[Plan],
        begun: Collection[str],
        results: Iterable[MessageCommand],
    ) -> None:
        """Of what was counted for the plans, give back what has certainly reached nobody.

        `begun` are the messages whose hand-over began here, `results` what came of them.
        """
        came = tuple(results)
        await self.campaigns.give_back(seen.budgets, plans, begun, came)
        await self.branches.give_back(plans, begun, came)
