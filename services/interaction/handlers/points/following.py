"""What follows for ledgers from what happens: receipts earn and are paid, returns take back.

Each thing follows once: the id of its command is made of the fact's id alone, wherever the fact is
told, and however often. So it does not matter whether a receipt is first seen at the customer who
was found by its card, or among those that came with a merge.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog

from services.interaction.domain.points.commands import Earn, GiveBack, Pay, Reverse
from services.interaction.domain.points.ledger import ledger_customer
from services.interaction.domain.points.rules import PointsRules, Sold, after, earning_of
from services.interaction.handlers.points.ledgers import Ledgers, Order
from services.interaction.handlers.points.rules import PointsRulesBook
from shared.decider import Refused
from shared.envelope import Causation

MAX_ATTEMPTS = 9
"""How often points may be kept for one receipt, each time after it was cancelled or has lapsed."""

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFact:
    """A fact of a customer, if that is known; `moved`: it may be at another ledger already."""

    fact: str
    customer: str | None
    time: datetime
    branch: str | None
    causation: Causation
    imported: bool = False
    moved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenReceipt(SeenFact):
    """A receipt; `by_points` is what points paid of it, in minor units, where it says so."""

    lines: Sequence[Sold]
    total: int
    points_spent: int = 0
    by_points: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenReturn(SeenFact):
    """A return or a void; `lines` are (number, amount)."""

    receipt: str
    why: Literal["returned", "voided"]
    total: int
    lines: Sequence[tuple[int, int]]


Seen = SeenReceipt | SeenReturn


@dataclass(frozen=True, slots=True)
class SeenMerge:
    """A merge, or its revert, seen at the customer who was merged."""

    merge: str
    loser: str
    survivor: str
    causation: Causation
    reverted: bool = False


def earn_id(fact: str) -> str:
    """The id of the command by which a receipt earns."""
    return f"points|{fact}"


def paid_id(fact: str) -> str:
    """The id of the command by which a receipt that points paid is matched."""
    return f"points|paid|{fact}"


def spend_id(fact: str, attempt: int) -> str:
    """The id of the command by which a till has points kept for a receipt."""
    return f"points|spend|{fact}" if attempt == 1 else f"points|spend|{fact}|{attempt}"


@dataclass(frozen=True, slots=True)
class Following:
    """Carries out what follows from facts and merges."""

    ledgers: Ledgers
    rules: PointsRulesBook

    async def facts(self, seen: Sequence[Seen]) -> None:
        """Let facts have their consequences; receipts first. Raises `StoreUnavailable`."""
        rules = await self.rules.now()
        if not rules.versions:
            return
        counting = [each for each in seen if _counts(each, rules)]
        receipts = [each for each in counting if isinstance(each, SeenReceipt)]
        await self._earn(list(self._earnings(receipts, rules)))
        await self._follow([each for each in receipts if each.moved])
        paid = [each for each in seen if isinstance(each, SeenReceipt) and each.points_spent]
        await self._pay(paid, rules)
        await self._take_back([each for each in seen if isinstance(each, SeenReturn)], rules)

    async def merge(self, seen: SeenMerge) -> None:
        """Let points follow a merge, or come back. Raises `StoreUnavailable`."""
        try:
            await self._merge(seen)
        except Refused as refusal:
            log.warning("points not moved", alarm="points-not-moved", refusal=refusal.type)

    async def _merge(self, seen: SeenMerge) -> None:
        if seen.reverted:
            await self.ledgers.revert(seen.merge, seen.loser, seen.causation)
            return
        rules = await self.rules.now()
        _, version = await self.ledgers.sight().state(seen.loser)
        # Where there never were any points, a ledger need not be closed for those that may come.
        if rules.versions or version:
            await self.ledgers.merge(seen.merge, seen.loser, seen.survivor, seen.causation)

    async def _earn(self, orders: Sequence[Order]) -> None:
        if not orders:
            return
        full = await self.ledgers.full({each.customer for each in orders})
        if full:
            log.warning("points not earned", alarm="points-ledger-full", customers=sorted(full))
        await self._carry_out([each for each in orders if each.customer not in full])

    def _earnings(self, receipts: Sequence[SeenReceipt], rules: PointsRules) -> Iterator[Order]:
        at = self.ledgers.writer.clock.now()
        for each in receipts:
            rule = rules.at(each.time)
            assert rule is not None  # noqa: S101 - others do not count
            paid = each.by_points
            if paid is None:
                paid = each.points_spent * rule[1].point_value
            earning = earning_of(rule, each.lines, each.branch, paid)
            if earning is None or each.customer is None:
                continue
            usable_from = each.time + timedelta(days=rule[1].pending_days)
            command = Earn(
                at=at,
                fact=each.fact,
                earning=earning,
                time=each.time,
                branch=each.branch,
                usable_from=usable_from,
                expires=after(usable_from, rule[1].life),
            )
            yield Order(earn_id(each.fact), "", each.customer, command, each.causation)

    async def _follow(self, receipts: Sequence[SeenReceipt]) -> None:
        """Let receipts that changed hands have their points where their home is.

        Those of a merge went with it, or go with it, and stay where they are.
        """
        born = await self._places([earn_id(each.fact) for each in receipts])
        sight = self.ledgers.sight()
        for each in receipts:
            first = born.get(earn_id(each.fact))
            if first is None or each.customer is None:
                continue
            trail = await sight.trail(each.fact, first)
            if trail and trail[-1] != (await sight.way(each.customer))[-1]:
                await self.ledgers.move_receipt(each.fact, first, each.customer, each.causation)

    async def _pay(self, receipts: Sequence[SeenReceipt], rules: PointsRules) -> None:
        """Match receipts with what was kept for them, wherever that was.

        What was kept is settled by any receipt: by one of a file, of a clock that is behind, or of
        nobody who is known. One of nobody for which nothing was kept waits until it is somebody's.
        """
        kept = await self._kept([each.fact for each in receipts])
        at = self.ledgers.writer.clock.now()
        orders = [
            Order(
                paid_id(each.fact),
                "",
                customer,
                Pay(
                    at=at,
                    spending=each.fact,
                    points=each.points_spent,
                    total=each.total,
                    time=each.time,
                    branch=each.branch,
                ),
                each.causation,
            )
            for each in receipts
            if (customer := kept.get(each.fact) or _payer(each, rules)) is not None
        ]
        await self._carry_out(orders)

    async def _take_back(self, returns: Sequence[SeenReturn], rules: PointsRules) -> None:
        if not returns:
            return
        earned = await self._places([earn_id(each.receipt) for each in returns])
        kept = await self._kept([each.receipt for each in returns])
        orders: list[Order] = []
        for each in returns:
            if each.receipt in kept:
                orders.append(self._giving_back(each, kept[each.receipt], rules))
            if earn_id(each.receipt) in earned:
                orders.append(self._reversal(each, earned[earn_id(each.receipt)]))
        await self._carry_out(orders)

    def _giving_back(self, seen: SeenReturn, customer: str, rules: PointsRules) -> Order:
        at = self.ledgers.writer.clock.now()
        rule = rules.at(at)
        command = GiveBack(
            at=at,
            spending=seen.receipt,
            cause=seen.fact,
            why=seen.why,
            amount=seen.total,
            time=seen.time,
            branch=seen.branch,
            expires=None if rule is None else after(at, rule[1].life),
        )
        return Order(f"points|back|{seen.fact}", "", customer, command, seen.causation)

    def _reversal(self, seen: SeenReturn, customer: str) -> Order:
        command = Reverse(
            at=self.ledgers.writer.clock.now(),
            fact=seen.receipt,
            cause=seen.fact,
            why=seen.why,
            lines=tuple(seen.lines),
            time=seen.time,
            branch=seen.branch,
        )
        return Order(f"points|{seen.fact}", "", customer, command, seen.causation)

    async def _kept(self, receipts: Sequence[str]) -> Mapping[str, str]:
        """Who had points kept for each receipt, or paid for it with some, if anybody."""
        ids = {
            receipt: [
                *(spend_id(receipt, attempt) for attempt in range(1, MAX_ATTEMPTS + 1)),
                paid_id(receipt),
            ]
            for receipt in receipts
        }
        known = await self._places([each for found in ids.values() for each in found])
        return {
            receipt: known[last]
            for receipt, found in ids.items()
            if (last := next((each for each in reversed(found) if each in known), None))
        }

    async def _places(self, command_ids: Collection[str]) -> Mapping[str, str]:
        """Whose ledger each of the commands was recorded in, of those that were."""
        if not command_ids:
            return {}
        known = await self.ledgers.writer.store.known(sorted(command_ids))
        return {name: ledger_customer(each.stream) for name, each in known.items()}

    async def _carry_out(self, orders: Sequence[Order]) -> None:
        if not orders:
            return
        for order, outcome in zip(orders, await self.ledgers.many(orders), strict=True):
            if isinstance(outcome, Refused):
                log.error("points not counted", command=order.id, refusal=outcome.type)


def _payer(seen: SeenReceipt, rules: PointsRules) -> str | None:
    """Whose points have paid for a receipt for which none were kept."""
    return seen.customer if _counts(seen, rules) else None


def _counts(seen: Seen, rules: PointsRules) -> bool:
    """Whether there were rules at its time, and it is no past that they leave out."""
    rule = rules.at(seen.time)
    return rule is not None and (rule[1].history or not seen.imported)
