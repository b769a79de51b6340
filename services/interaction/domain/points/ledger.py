"""The ledger of a customer: lots, spendings and debts, as the customer's stream of points has them.

Every event says how many points of which lot come or go, so the fold adds up and decides nothing.
A lot keeps how it was earned when none of its points are left: its receipt may still come back.
Three things hold after every decision: no lot is below nothing, a lot whose life is over is empty,
and while something is owed every lot is empty.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

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


@dataclass(slots=True)
class Ledger:
    """What decisions need to know; `version` counts the events of the stream.

    `gone` and `spendings_gone` name the customers to whom single receipts, and spendings, went on:
    by hand, or by the revert of a merge. Only this file changes one, and only a copy of its own.
    """

    version: int = 0
    lots: dict[str, Lot] = field(default_factory=dict)
    spendings: dict[str, Spending] = field(default_factory=dict)
    debts: tuple[Debt, ...] = ()
    gone: dict[str, str] = field(default_factory=dict)
    spendings_gone: dict[str, str] = field(default_factory=dict)
    moved: Moved | None = None

    @property
    def left(self) -> int:
        """Points in all lots, whether they can be spent already or not."""
        return sum(lot.points for lot in self.lots.values())

    @property
    def owed(self) -> int:
        """Points that the next ones pay for."""
        return sum(debt.points for debt in self.debts)

    def copied(self) -> "Ledger":
        """Another one that is the same."""
        return replace(
            self,
            lots=dict(self.lots),
            spendings=dict(self.spendings),
            gone=dict(self.gone),
            spendings_gone=dict(self.spendings_gone),
        )


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
    return fold([data], state)


def fold(history: Iterable[EventData], state: Ledger | None = None) -> Ledger:
    """The ledger after events, from an empty one or the one that is given.

    It is copied once, so that to read a long ledger costs no more than its length.
    """
    ledger = Ledger() if state is None else state.copied()
    for data in history:
        change = _CHANGES.get(type(data))
        if change is None:
            message = f"a ledger of points has no event {data.type}"
            raise TypeError(message)
        change(ledger, data)
        ledger.version += 1
    return ledger


def _add(ledger: Ledger, lot: Lot) -> None:
    """Add a lot, or its points where the lot is here."""
    known = ledger.lots.get(lot.lot)
    if known is not None:
        lot = lot.model_copy(
            update={
                "points": lot.points + known.points,
                "earning": lot.earning or known.earning,
                "origins": lot.origins if lot.earning is not None else known.origins,
            }
        )
    ledger.lots[lot.lot] = lot


def _give(ledger: Ledger, portions: Iterable[Portion]) -> None:
    for each in portions:
        lot = Lot(
            lot=each.lot,
            points=each.points,
            usable_from=each.usable_from,
            expires=each.expires,
            origins=each.origins,
        )
        _add(ledger, lot)


def _take(ledger: Ledger, portions: Iterable[Portion]) -> None:
    for each in portions:
        lot = ledger.lots[each.lot]
        _put(ledger, lot.model_copy(update={"points": lot.points - each.points}))


def _put(ledger: Ledger, lot: Lot) -> None:
    if is_kept(lot):
        ledger.lots[lot.lot] = lot
    else:
        ledger.lots.pop(lot.lot, None)


def _owe(ledger: Ledger, points: int) -> None:
    if points:
        ledger.debts = (*ledger.debts, Debt(points=points))


def _pay(ledger: Ledger, points: int) -> None:
    """The oldest debts are paid first."""
    left: list[Debt] = []
    for debt in ledger.debts:
        paid = min(points, debt.points)
        points -= paid
        if debt.points > paid:
            left.append(debt.model_copy(update={"points": debt.points - paid}))
    ledger.debts = tuple(left)


def _earned(ledger: Ledger, data: PointsEarned) -> None:
    _pay(ledger, data.debt_paid)
    ledger.gone.pop(data.fact, None)
    lot = Lot(
        lot=data.fact,
        points=data.points - data.debt_paid,
        usable_from=data.usable_from,
        expires=data.expires,
        earning=data.earning,
        origins=data.origins,
    )
    _add(ledger, lot)


def _granted(ledger: Ledger, data: PointsGranted) -> None:
    _pay(ledger, data.debt_paid)
    left = data.points - data.debt_paid
    if left:
        lot = Lot(lot=data.grant, points=left, usable_from=data.usable_from, expires=data.expires)
        _add(ledger, lot)


def _withdrawn(ledger: Ledger, data: PointsWithdrawn) -> None:
    _take(ledger, data.taken)


def _spent(ledger: Ledger, data: PointsSpent) -> None:
    _take(ledger, data.taken)
    _owe(ledger, data.debt)
    known = ledger.spendings.get(data.spending)
    ledger.spendings[data.spending] = Spending(
        spending=data.spending,
        points=data.points if known is None else data.points + known.points,
        taken=data.taken if known is None else (*known.taken, *data.taken),
        total=data.total,
        lapses=data.lapses,
        origins=() if known is None else known.origins,
    )


def _paid(ledger: Ledger, data: SpendingPaid) -> None:
    known = ledger.spendings[data.spending]
    ledger.spendings[data.spending] = known.model_copy(update={"lapses": None, "total": data.total})


def _given_back(ledger: Ledger, data: PointsGivenBack) -> None:
    _pay(ledger, data.debt_paid)
    _give(ledger, data.given)
    known = ledger.spendings[data.spending]
    changes: dict[str, object] = {"taken": _less(known.taken, data.points)}
    if data.why == "unused":
        left = known.points - data.points
        changes |= {"points": left}
    else:
        left = known.points - known.given_back - data.points
        changes |= {"given_back": known.given_back + data.points, "returned": data.returned}
    if left > 0:
        ledger.spendings[data.spending] = known.model_copy(update=changes)
    else:
        del ledger.spendings[data.spending]


def _less(taken: tuple[Portion, ...], points: int) -> tuple[Portion, ...]:
    """What is left of portions when so many points of them, the last first, have gone back."""
    left: list[Portion] = []
    for portion in reversed(taken):
        gone = min(points, portion.points)
        points -= gone
        if portion.points > gone:
            left.append(portion.model_copy(update={"points": portion.points - gone}))
    return tuple(reversed(left))


def _reversed(ledger: Ledger, data: PointsReversed) -> None:
    _take(ledger, data.taken)
    _owe(ledger, data.debt)
    if data.to is not None:
        ledger.gone[data.fact] = data.to
    lot = ledger.lots.get(data.fact)
    if lot is None or lot.earning is None:
        return
    amounts = {each.line: each.amount for each in data.lines}
    lines = tuple(
        line.model_copy(update={"returned": line.returned + amounts.get(line.line, 0)})
        for line in lot.earning.lines
    )
    earning = lot.earning.model_copy(
        update={"lines": lines, "points": lot.earning.points - data.points}
    )
    _put(ledger, lot.model_copy(update={"earning": earning}))


def _expired(ledger: Ledger, data: PointsExpired) -> None:
    _put(ledger, ledger.lots[data.lot].model_copy(update={"points": 0}))


def _debt_paid(ledger: Ledger, data: DebtPaid) -> None:
    _take(ledger, data.taken)
    _pay(ledger, data.points)


def _moved_out(ledger: Ledger, data: PointsMovedOut) -> None:
    for lot in data.lots:
        ledger.lots.pop(lot, None)
    for spending in data.spendings:
        ledger.spendings.pop(spending, None)
    if data.why == "merged":
        ledger.debts, ledger.moved = (), Moved(data.merge, data.to)
        return
    ledger.debts = tuple(each for each in ledger.debts if not came(each, data.merge))
    ledger.gone |= dict.fromkeys(data.lots, data.to)
    ledger.spendings_gone |= dict.fromkeys(data.spendings, data.to)


def came(item: Lot | Spending | Debt, merge: str) -> bool:
    """Whether a merge brought it."""
    return any(origin.merge == merge for origin in item.origins)


def _moved_in(ledger: Ledger, data: PointsMovedIn) -> None:
    moved = ledger.moved
    if data.why == "reverted" and moved is not None and moved.merge == data.merge:
        ledger.moved = None
    for lot in data.lots:
        _add(ledger, lot)
        ledger.gone.pop(lot.lot, None)
    for each in data.spendings:
        ledger.spendings[each.spending] = each
        ledger.spendings_gone.pop(each.spending, None)
    ledger.debts = (*ledger.debts, *data.debts)


_CHANGES: Mapping[type[EventData], Callable[..., None]] = {
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
