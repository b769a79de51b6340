"""The ledger of a customer: lots, spendings and debts, as the customer's stream of points has them.

Every event says how many points of which lot come or go, so the fold adds up and decides nothing.
A lot keeps how it was earned when none of its points are left: its receipt may still come back.
Three things hold after every decision: no lot is below nothing, a lot whose life is over is empty,
and while something is owed every lot is empty.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from shared.events.contract import EventData
from shared.events.points import (
    Debt,
    DebtPaid,
    Earning,
    EarningLine,
    Lot,
    PointsEarned,
    PointsExpired,
    PointsGivenBack,
    PointsGranted,
    PointsMovedIn,
    PointsMovedOut,
    PointsReversed,
    PointsSpent,
    PointsWithdrawn,
    Portion,
    Spending,
    SpendingPaid,
)

LEDGER_STREAM = "points-"
PER_CENT = 100
WHOLE = 100 * PER_CENT
"""Percentages are given in hundredths."""
ItemT = TypeVar("ItemT")


def ledger_stream(customer: str) -> str:
    """The stream of a customer's points."""
    return LEDGER_STREAM + customer


def ledger_customer(stream: str) -> str:
    """The customer whose stream of points it is."""
    return stream.removeprefix(LEDGER_STREAM)


@dataclass(frozen=True, slots=True)
class Moved:
    """Where points go on since the customer was merged."""

    merge: str
    to: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """What decisions need to know; `version` counts the events of the stream.

    `gone` and `spendings_gone` name the customers to whom single receipts, and spendings, went on:
    by hand, or by the revert of a merge.
    """

    version: int = 0
    lots: Mapping[str, Lot] = field(default_factory=dict)
    spendings: Mapping[str, Spending] = field(default_factory=dict)
    debts: tuple[Debt, ...] = ()
    gone: Mapping[str, str] = field(default_factory=dict)
    spendings_gone: Mapping[str, str] = field(default_factory=dict)
    moved: Moved | None = None

    @property
    def left(self) -> int:
        """Points in all lots, whether they can be spent already or not."""
        return sum(lot.points for lot in self.lots.values())

    @property
    def owed(self) -> int:
        """Points that the next ones pay for."""
        return sum(debt.points for debt in self.debts)


def with_item(items: Mapping[str, ItemT], name: str, item: ItemT) -> Mapping[str, ItemT]:
    """The same with one item set."""
    return {**items, name: item}


def without_items(items: Mapping[str, ItemT], names: Iterable[str]) -> Mapping[str, ItemT]:
    """The same without some."""
    gone = set(names)
    return {name: item for name, item in items.items() if name not in gone}


def points_of(earning: Earning, lines: Iterable[EarningLine]) -> int:
    """The points of lines, less what was returned of each, rounded down once for all.

    A line that was returned in part keeps the same part of its base, rounded down.
    """
    weighed = sum(
        line.base * (line.amount - line.returned) // line.amount * line.percent for line in lines
    )
    return weighed // (WHOLE * earning.point_value)


def is_kept(lot: Lot) -> bool:
    """Whether anything may ever be asked of the lot again."""
    return lot.points > 0 or (lot.earning is not None and lot.earning.points > 0)


def evolve(state: Ledger, data: EventData) -> Ledger:
    """The ledger after an event."""
    change = _CHANGES.get(type(data))
    if change is None:
        message = f"a ledger of points has no event {data.type}"
        raise TypeError(message)
    return replace(change(state, data), version=state.version + 1)


def _added(state: Ledger, lot: Lot) -> Ledger:
    """With a lot, or with its points where the lot is here."""
    known = state.lots.get(lot.lot)
    if known is not None:
        lot = lot.model_copy(
            update={
                "points": lot.points + known.points,
                "earning": lot.earning or known.earning,
                "origins": lot.origins if lot.earning is not None else known.origins,
            }
        )
    return replace(state, lots=with_item(state.lots, lot.lot, lot))


def _given(state: Ledger, portions: Iterable[Portion]) -> Ledger:
    for each in portions:
        lot = Lot(
            lot=each.lot,
            points=each.points,
            usable_from=each.usable_from,
            expires=each.expires,
            origins=each.origins,
        )
        state = _added(state, lot)
    return state


def _taken(state: Ledger, portions: Iterable[Portion]) -> Ledger:
    lots = dict(state.lots)
    for each in portions:
        lot = lots[each.lot].model_copy(update={"points": lots[each.lot].points - each.points})
        lots[each.lot] = lot
        if not is_kept(lot):
            del lots[each.lot]
    return replace(state, lots=lots)


def _owing(state: Ledger, points: int) -> Ledger:
    return replace(state, debts=(*state.debts, Debt(points=points))) if points else state


def _paying(state: Ledger, points: int) -> Ledger:
    """The oldest debts are paid first."""
    left: list[Debt] = []
    for debt in state.debts:
        paid = min(points, debt.points)
        points -= paid
        if debt.points > paid:
            left.append(debt.model_copy(update={"points": debt.points - paid}))
    return replace(state, debts=tuple(left))


def _earned(state: Ledger, data: PointsEarned) -> Ledger:
    lot = Lot(
        lot=data.fact,
        points=data.points - data.debt_paid,
        usable_from=data.usable_from,
        expires=data.expires,
        earning=data.earning,
        origins=data.origins,
    )
    state = replace(state, gone=without_items(state.gone, [data.fact]))
    return _added(_paying(state, data.debt_paid), lot)


def _granted(state: Ledger, data: PointsGranted) -> Ledger:
    state = _paying(state, data.debt_paid)
    left = data.points - data.debt_paid
    if left == 0:
        return state
    lot = Lot(lot=data.grant, points=left, usable_from=data.usable_from, expires=data.expires)
    return _added(state, lot)


def _withdrawn(state: Ledger, data: PointsWithdrawn) -> Ledger:
    return _taken(state, data.taken)


def _spent(state: Ledger, data: PointsSpent) -> Ledger:
    state = _owing(_taken(state, data.taken), data.debt)
    known = state.spendings.get(data.spending)
    spending = Spending(
        spending=data.spending,
        points=data.points if known is None else data.points + known.points,
        taken=data.taken if known is None else (*known.taken, *data.taken),
        total=data.total,
        lapses=data.lapses,
        origins=() if known is None else known.origins,
    )
    return replace(state, spendings=with_item(state.spendings, data.spending, spending))


def _paid(state: Ledger, data: SpendingPaid) -> Ledger:
    spending = state.spendings[data.spending].model_copy(
        update={"lapses": None, "total": data.total}
    )
    return replace(state, spendings=with_item(state.spendings, data.spending, spending))


def _given_back(state: Ledger, data: PointsGivenBack) -> Ledger:
    spending = state.spendings[data.spending]
    state = _given(_paying(state, data.debt_paid), data.given)
    if data.why == "unused":
        kept = _less(spending.taken, data.points)
        left = spending.points - data.points
        if left == 0:
            return replace(state, spendings=without_items(state.spendings, [data.spending]))
        spending = spending.model_copy(update={"points": left, "taken": kept})
    else:
        given_back = spending.given_back + data.points
        if given_back >= spending.points:
            return replace(state, spendings=without_items(state.spendings, [data.spending]))
        spending = spending.model_copy(
            update={
                "taken": _less(spending.taken, data.points),
                "given_back": given_back,
                "returned": data.returned,
            }
        )
    return replace(state, spendings=with_item(state.spendings, data.spending, spending))


def _less(taken: tuple[Portion, ...], points: int) -> tuple[Portion, ...]:
    """What is left of portions when so many points of them, the last first, have gone back."""
    left: list[Portion] = []
    for portion in reversed(taken):
        gone = min(points, portion.points)
        points -= gone
        if portion.points > gone:
            left.append(portion.model_copy(update={"points": portion.points - gone}))
    return tuple(reversed(left))


def _reversed(state: Ledger, data: PointsReversed) -> Ledger:
    state = _owing(_taken(state, data.taken), data.debt)
    if data.to is not None:
        state = replace(state, gone=with_item(state.gone, data.fact, data.to))
    lot = state.lots.get(data.fact)
    if lot is None or lot.earning is None:
        return state
    amounts = {each.line: each.amount for each in data.lines}
    lines = tuple(
        line.model_copy(update={"returned": line.returned + amounts.get(line.line, 0)})
        for line in lot.earning.lines
    )
    earning = lot.earning.model_copy(
        update={"lines": lines, "points": lot.earning.points - data.points}
    )
    lot = lot.model_copy(update={"earning": earning})
    if not is_kept(lot):
        return replace(state, lots=without_items(state.lots, [data.fact]))
    return replace(state, lots=with_item(state.lots, data.fact, lot))


def _expired(state: Ledger, data: PointsExpired) -> Ledger:
    lot = state.lots[data.lot].model_copy(update={"points": 0})
    if is_kept(lot):
        return replace(state, lots=with_item(state.lots, data.lot, lot))
    return replace(state, lots=without_items(state.lots, [data.lot]))


def _debt_paid(state: Ledger, data: DebtPaid) -> Ledger:
    return _paying(_taken(state, data.taken), data.points)


def _moved_out(state: Ledger, data: PointsMovedOut) -> Ledger:
    left = replace(
        state,
        lots=without_items(state.lots, data.lots),
        spendings=without_items(state.spendings, data.spendings),
    )
    if data.why == "merged":
        return replace(left, debts=(), moved=Moved(data.merge, data.to))
    return replace(
        left,
        debts=tuple(each for each in state.debts if not came(each, data.merge)),
        gone={**state.gone, **dict.fromkeys(data.lots, data.to)},
        spendings_gone={**state.spendings_gone, **dict.fromkeys(data.spendings, data.to)},
    )


def came(item: Lot | Spending | Debt, merge: str) -> bool:
    """Whether a merge brought it."""
    return any(origin.merge == merge for origin in item.origins)


def _moved_in(state: Ledger, data: PointsMovedIn) -> Ledger:
    moved = state.moved
    if data.why == "reverted" and moved is not None and moved.merge == data.merge:
        state = replace(state, moved=None)
    for lot in data.lots:
        state = _added(state, lot)
    brought = {each.spending: each for each in data.spendings}
    return replace(
        state,
        spendings={**state.spendings, **brought},
        debts=(*state.debts, *data.debts),
        gone=without_items(state.gone, (lot.lot for lot in data.lots)),
        spendings_gone=without_items(state.spendings_gone, brought),
    )


_CHANGES: Mapping[type[EventData], Callable[..., Ledger]] = {
    PointsEarned: _earned,
    PointsGranted: _granted,
    PointsWithdrawn: _withdrawn,
    PointsSpent: _spent,
    SpendingPaid: _paid,
    PointsGivenBack: _given_back,
    PointsReversed: _reversed,
    PointsExpired: _expired,
    DebtPaid: _debt_paid,
    PointsMovedOut: _moved_out,
    PointsMovedIn: _moved_in,
}


def deadline(state: Ledger) -> datetime | None:
    """The next moment at which time alone changes the ledger."""
    ends = [lot.expires for lot in state.lots.values() if lot.points and lot.expires is not None]
    ends += [each.lapses for each in state.spendings.values() if each.lapses is not None]
    return min(ends, default=None)
