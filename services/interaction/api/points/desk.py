"""What the endpoints of points stand on, and what all of them do."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path
from pydantic import BaseModel

from services.interaction.domain.points.commands import Command
from services.interaction.domain.points.ledger import Ledger
from services.interaction.domain.points.rules import PointsRules
from services.interaction.handlers.points.ledgers import Ledgers, Order
from services.interaction.handlers.points.rules import PointsRulesBook
from services.interaction.queries.customers import Owners, living
from services.interaction.queries.points import PointsEntries
from shared.access import Permission, Principal
from shared.clock import Clock
from shared.decider import Refused, not_found
from shared.envelope import Causation
from shared.events.points import PointsRulesDefined
from shared.execute import Done
from shared.http import asked_hash, principal

Reading = Annotated[Principal, Depends(principal(Permission.FACTS_READ))]
Spending = Annotated[Principal, Depends(principal(Permission.FACTS_WRITE))]
Giving = Annotated[Principal, Depends(principal(Permission.POINTS_WRITE))]
Configuring = Annotated[Principal, Depends(principal(Permission.CONFIGURATION_WRITE))]
InPath = Annotated[str, Path(min_length=1, max_length=200, description="The customer's id.")]
MOST_POINTS = 10**9

NO_RULES = Refused(
    "no-points-rules", 409, "There are no rules of points.", "define them at /v1/points/rules"
)


@dataclass(frozen=True, slots=True)
class PointsDesk:
    """What the endpoints stand on; `secret` is that of the chain's keyed hashes."""

    ledgers: Ledgers
    book: PointsRulesBook
    owners: Owners
    entries: PointsEntries
    clock: Clock
    secret: bytes = field(repr=False)

    async def living(self, customer: str) -> str:
        """Who the customer is by now. Raises `Refused` (404)."""
        found = await living(self.owners, customer)
        if found is None:
            raise not_found("customer", customer)
        return found

    async def ledger(self, customer: str) -> tuple[str, Ledger, int]:
        """Who has the customer's points, the ledger, and its version. Raises `Refused` (404)."""
        sight = self.ledgers.sight()
        holder = (await sight.way(await self.living(customer)))[-1]
        return holder, *await sight.state(holder)

    async def rules(self, at: datetime) -> tuple[PointsRules, PointsRulesDefined]:
        """All rules, and those that count now. Raises `Refused` (409) where none do."""
        rules = await self.book.now()
        counting = rules.at(at)
        if counting is None:
            raise NO_RULES
        return rules, counting[1]

    async def carry_out(
        self, command_id: str, customer: str, what: str, body: BaseModel, command: Command
    ) -> Done:
        """Carry out a command on a customer's ledger. Raises its refusal, and `Refused` (404)."""
        order = Order(
            id=command_id,
            hash=asked_hash(self.secret, [what, customer, body]),
            customer=await self.living(customer),
            command=command,
            causation=Causation(correlation=command_id),
        )
        return await self.ledgers.one(order)
