"""Ledgers of points on memory, with the rules of a test."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.domain.points.commands import Command, Spend
from services.interaction.domain.points.ledger import Ledger
from services.interaction.domain.points.rules import Sold
from services.interaction.handlers.points.following import (
    Following,
    SeenMerge,
    SeenReceipt,
    SeenReturn,
    spend_id,
)
from services.interaction.handlers.points.ledgers import Ledgers, Order
from services.interaction.handlers.points.rules import PointsRulesBook
from shared.clock import ManualClock
from shared.envelope import Causation
from shared.events.points import PointsRulesDefined, Rate
from shared.execute import Done, Outcome, Writer
from shared.keyring import Keyring
from shared.memory import MemoryEventStore, MemoryKeyStore
from shared.testing import DAY

WHY = Causation("test")
HOLD = timedelta(minutes=60)


def ten_percent(**more: Any) -> PointsRulesDefined:  # noqa: ANN401 - any fields of the event
    """A tenth of what is paid, at once and for ever; a point is worth a minor unit."""
    found: dict[str, Any] = {
        "rates": (Rate(percent=1000),),
        "point_value": 1,
        "payable_percent": 10_000,
        "hold_minutes": 60,
        "since": DAY,
        **more,
    }
    return PointsRulesDefined(**found)


@dataclass(slots=True)
class Chain:
    """Ledgers, and what follows for them from facts."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    keyring: Keyring = field(default_factory=lambda: Keyring(MemoryKeyStore(), AESGCM(bytes(32))))
    ledgers: Ledgers = field(init=False)
    following: Following = field(init=False)

    def __post_init__(self) -> None:
        """One writer serves all."""
        writer = Writer(self.store, self.keyring, self.clock, "interaction")
        self.ledgers = Ledgers(writer)
        self.following = Following(self.ledgers, PointsRulesBook(writer))

    async def define(self, rules: PointsRulesDefined) -> None:
        """Let rules count."""
        book = self.following.rules
        await book.define(f"rules|{rules.since}", rules, self.clock.now(), lambda _version: None)

    async def buy(
        self,
        fact: str,
        customer: str | None,
        *amounts: int,
        points_spent: int = 0,
        moved: bool = False,
        imported: bool = False,
    ) -> None:
        """Let a receipt be seen, with a line for each amount."""
        seen = SeenReceipt(
            fact=fact,
            customer=customer,
            time=self.clock.now(),
            branch="12",
            causation=WHY,
            imported=imported,
            moved=moved,
            lines=[Sold(amount) for amount in amounts],
            total=sum(amounts),
            points_spent=points_spent,
        )
        await self.following.facts([seen])

    async def take_back(
        self,
        fact: str,
        receipt: str,
        customer: str | None,
        *lines: tuple[int, int],
        why: Literal["returned", "voided"] = "returned",
    ) -> None:
        """Let a return or a void be seen."""
        seen = SeenReturn(
            fact=fact,
            customer=customer,
            time=self.clock.now(),
            branch="12",
            causation=WHY,
            receipt=receipt,
            why=why,
            total=sum(amount for _, amount in lines),
            lines=lines,
        )
        await self.following.facts([seen])

    async def merge(self, merge: str, loser: str, survivor: str) -> None:
        """Let a merge be seen."""
        await self.following.merge(SeenMerge(merge, loser, survivor, WHY))

    async def revert(self, merge: str, loser: str, survivor: str) -> None:
        """Let the revert of a merge be seen."""
        await self.following.merge(SeenMerge(merge, loser, survivor, WHY, reverted=True))

    async def ask(self, command_id: str, customer: str, command: Command) -> Done:
        """Have a command carried out. Raises its refusal."""
        return await self.ledgers.one(Order(command_id, "", customer, command, WHY))

    def spending(
        self, receipt: str, customer: str, points: int, total: int = 1000, attempt: int = 1
    ) -> Order:
        """What a till asks for."""
        now = self.clock.now()
        command = Spend(
            at=now,
            spending=receipt,
            points=points,
            most=total,
            total=total,
            lapses=now + HOLD,
            branch="12",
        )
        return Order(spend_id(receipt, attempt), str(points), customer, command, WHY)

    async def spend(self, receipt: str, customer: str, points: int, attempt: int = 1) -> Outcome:
        """Have points kept; gives a refusal as it is."""
        order = self.spending(receipt, customer, points, attempt=attempt)
        (outcome,) = await self.ledgers.many([order])
        return outcome

    async def state(self, customer: str) -> Ledger:
        """A ledger as it is."""
        return (await self.ledgers.sight().state(customer))[0]

    async def left(self, *customers: str) -> Sequence[int]:
        """What is left to each of them, less what is owed."""
        states = [await self.state(each) for each in customers]
        return [each.left - each.owed for each in states]
