"""What is decided on a ledger. Everything rests on the ledger's own history, so nothing overspends.

Two tills that spend at once write to one stream: one of them loses its place, and is decided again
on what the other has left. What a till has already done is never refused: a receipt that points
have paid for counts, and what there is no lot for is owed.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import assert_never

from services.interaction.domain.points.balance import (
    credited,
    due,
    fold,
    last_of,
    portion_of,
    sum_of,
    take,
    usable_at,
)
from services.interaction.domain.points.commands import (
    CancelSpending,
    Command,
    Earn,
    GiveBack,
    Grant,
    Pay,
    Reverse,
    Settle,
    Spend,
    Withdraw,
)
from services.interaction.domain.points.ledger import Ledger, evolve, points_of
from services.interaction.domain.points.ledger import fold as folded
from shared.decider import Decider, NewEvent, Refused, invalid
from shared.events.contract import EventData
from shared.events.points import (
    Earning,
    LineReturned,
    PointsEarned,
    PointsGivenBack,
    PointsGranted,
    PointsReversed,
    PointsSpent,
    PointsWithdrawn,
    Portion,
    Spending,
    SpendingPaid,
)

MOVED = "points-moved"
GONE = "receipt-moved"


def decide(command: Command, state: Ledger) -> Sequence[NewEvent]:
    """What is due by now, what follows from the command, and what that makes due at once.

    Raises `Refused`; `MOVED` names who has the points since a merge (`to`, `merge`), `GONE` who
    has this receipt (`to`).
    """
    _require_not_gone(command, state)
    if state.moved is not None:
        raise Refused(
            MOVED,
            409,
            "The points are somebody else's by now.",
            extra={"to": state.moved.to, "merge": state.moved.merge},
        )
    before = due(state, command.at)
    state = fold(state, before)
    if isinstance(command, Settle):
        return before
    events = _decided(command, state)
    if not events:
        return ()
    return [*before, *events, *due(fold(state, events), command.at)]


def _require_not_gone(command: Command, state: Ledger) -> None:
    if command.wherever:
        return
    match command:
        case Reverse(fact=fact):
            to = state.gone.get(fact)
        case (
            Pay(spending=spending) | GiveBack(spending=spending) | CancelSpending(spending=spending)
        ):
            to = state.spendings_gone.get(spending)
        case _:
            to = None
    if to is not None:
        raise Refused(
            GONE, 409, "What was paid or earned here is somebody else's by now.", extra={"to": to}
        )


def _decided(command: Command, state: Ledger) -> Sequence[NewEvent]:
    match command:
        case Earn():
            return _earn(command, state)
        case Grant():
            return _grant(command, state)
        case Withdraw():
            return _withdraw(command, state)
        case Spend():
            return _spend(command, state)
        case CancelSpending():
            return _cancel(command, state)
        case Pay():
            return _pay(command, state)
        case Reverse():
            return _reverse(command, state)
        case GiveBack():
            return _give_back(command, state)
        case Settle():
            return ()
        case _:
            assert_never(command)


def _earn(command: Earn, state: Ledger) -> Sequence[NewEvent]:
    known = state.lots.get(command.fact)
    if known is not None and known.earning is not None:
        return ()
    points = command.earning.points
    data = PointsEarned(
        fact=command.fact,
        points=points,
        debt_paid=min(points, state.owed),
        usable_from=command.usable_from,
        expires=command.expires,
        earning=command.earning,
        origins=command.origins,
    )
    return [NewEvent(data, command.time, command.branch)]


def _grant(command: Grant, state: Ledger) -> Sequence[NewEvent]:
    if command.points < 1:
        raise invalid("points", "at least 1")
    if command.expires is not None and command.expires <= command.at:
        raise invalid("expires", "lies in the past")
    data = PointsGranted(
        grant=command.grant,
        points=command.points,
        debt_paid=min(command.points, state.owed),
        usable_from=command.at,
        expires=command.expires,
        reason=command.reason,
        by=command.by,
    )
    return [NewEvent(data, command.at, command.branch)]


def _withdraw(command: Withdraw, state: Ledger) -> Sequence[NewEvent]:
    taken = _taken(state, command.points, command)
    data = PointsWithdrawn(points=command.points, taken=taken, reason=command.reason, by=command.by)
    return [NewEvent(data, command.at, command.branch)]


def _taken(state: Ledger, points: int, command: Withdraw | Spend) -> tuple[Portion, ...]:
    """So many points that can be spent. Raises `Refused` where there are fewer."""
    if points < 1:
        raise invalid("points", "at least 1")
    taken = take(state, points, command.at, pending=False)
    if sum_of(taken) < points:
        raise Refused(
            "too-few-points",
            409,
            "There are not so many points to spend.",
            extra={"usable": str(usable_at(state, command.at))},
        )
    return taken


def _spend(command: Spend, state: Ledger) -> Sequence[NewEvent]:
    known = state.spendings.get(command.spending)
    if known is not None:
        raise Refused(
            "points-kept",
            409,
            "Points are kept for this receipt, or have paid for it.",
            "cancel that first, if the receipt has not come yet",
            extra={"points": str(known.points)},
        )
    if command.points > command.most:
        raise Refused(
            "over-the-share",
            409,
            "Points may not pay for so much of a receipt.",
            extra={"most": str(command.most)},
        )
    data = PointsSpent(
        spending=command.spending,
        points=command.points,
        taken=_taken(state, command.points, command),
        total=command.total,
        lapses=command.lapses,
    )
    return [NewEvent(data, command.at, command.branch)]


def _cancel(command: CancelSpending, state: Ledger) -> Sequence[NewEvent]:
    known = state.spendings.get(command.spending)
    if known is None:
        return ()
    if known.lapses is None:
        raise Refused(
            "already-paid",
            409,
            "The receipt has come: its points are spent.",
            "a return or a void gives them back",
        )
    given, paid = credited(state, known.taken)
    data = PointsGivenBack(
        spending=known.spending,
        points=known.points,
        given=given,
        debt_paid=paid,
        why="cancelled",
    )
    return [NewEvent(data, command.at)]


def _pay(command: Pay, state: Ledger) -> Sequence[NewEvent]:
    known = state.spendings.get(command.spending)
    if known is not None and known.lapses is None:
        return ()
    if known is None:
        return [_paid_by(command, state, command.points)]
    paid = NewEvent(
        SpendingPaid(spending=command.spending, total=command.total), command.time, command.branch
    )
    if command.points > known.points:
        return [_paid_by(command, state, command.points - known.points), paid]
    if command.points < known.points:
        return [_unused(command, state, known), paid]
    return [paid]


def _paid_by(command: Pay, state: Ledger, points: int) -> NewEvent:
    """What a receipt was paid by beside what was kept for it, if anything was."""
    taken = take(state, points, command.at, pending=True)
    data = PointsSpent(
        spending=command.spending,
        points=points,
        taken=taken,
        debt=points - sum_of(taken),
        total=command.total,
    )
    return NewEvent(data, command.time, command.branch)


def _unused(command: Pay, state: Ledger, known: Spending) -> NewEvent:
    points = known.points - command.points
    given, paid = credited(state, last_of(known.taken, points))
    data = PointsGivenBack(
        spending=known.spending, points=points, given=given, debt_paid=paid, why="unused"
    )
    return NewEvent(data, command.time, command.branch)


def _reverse(command: Reverse, state: Ledger) -> Sequence[NewEvent]:
    lot = state.lots.get(command.fact)
    if lot is None or lot.earning is None:
        return ()
    lines = _lines(command, lot.earning)
    if not lines:
        return ()
    points = lot.earning.points - _left(lot.earning, lines)
    taken = taken_back(state, command.fact, points, command.at)
    data = PointsReversed(
        fact=command.fact,
        points=points,
        taken=taken,
        debt=points - sum_of(taken),
        why=command.why,
        cause=command.cause,
        lines=lines,
    )
    return [NewEvent(data, command.time, command.branch)]


def _lines(command: Reverse, earning: Earning) -> tuple[LineReturned, ...]:
    """What comes back of the lines that earn, never more than there was of each."""
    sums: dict[int, int] = {}
    for number, amount in command.lines:
        sums[number] = sums.get(number, 0) + amount
    if command.why == "voided":
        sums = {line.line: line.amount for line in earning.lines}
    return tuple(
        LineReturned(line=line.line, amount=amount)
        for line in earning.lines
        if (amount := min(sums.get(line.line, 0), line.amount - line.returned)) > 0
    )


def _left(earning: Earning, lines: Sequence[LineReturned]) -> int:
    """What the receipt has earned after these lines came back."""
    amounts = {each.line: each.amount for each in lines}
    return points_of(
        earning,
        [
            line.model_copy(update={"returned": line.returned + amounts.get(line.line, 0)})
            for line in earning.lines
        ],
    )


def taken_back(state: Ledger, fact: str, points: int, at: datetime) -> tuple[Portion, ...]:
    """Points of the receipt's own lot, then of those that can be spent, then of pending ones."""
    lot = state.lots[fact]
    own = min(points, lot.points)
    others = take(state, points - own, at, pending=True, without=fact)
    return (portion_of(lot, own), *others) if own else others


def _give_back(command: GiveBack, state: Ledger) -> Sequence[NewEvent]:
    known = state.spendings.get(command.spending)
    if known is None:
        return ()
    returned = min(max(known.total, 0), known.returned + command.amount)
    whole = command.why == "voided" or returned >= known.total
    target = known.points if whole else known.points * returned // known.total
    points = target - known.given_back
    if points == 0 and returned == known.returned:
        return ()
    data = _given_back(command, state, known, points, returned)
    return [NewEvent(data, command.time, command.branch)]


def _given_back(
    command: GiveBack, state: Ledger, known: Spending, points: int, returned: int
) -> EventData:
    portions = last_of(known.taken, points)
    rest = points - sum_of(portions)
    if rest:
        new = Portion(
            lot=known.spending, points=rest, usable_from=command.at, expires=command.expires
        )
        portions = (*portions, new)
    given, paid = credited(state, portions)
    return PointsGivenBack(
        spending=known.spending,
        points=points,
        given=given,
        debt_paid=paid,
        why=command.why,
        cause=command.cause,
        returned=returned,
    )


class _LedgerDecider(Decider[Command, Ledger]):
    """Folds a history as a whole: to copy the ledger for each event would cost its square."""

    def fold(self, history: Iterable[EventData], state: Ledger | None = None) -> Ledger:
        """The ledger after a history."""
        return folded(history, state)


LEDGER: Decider[Command, Ledger] = _LedgerDecider(Ledger, decide, evolve)
