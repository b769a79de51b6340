"""What a customer has at a moment, computed from the lots; and what time alone has changed.

Nothing happens when pending points become usable: whoever asks compares the moment. The ends of
lives and of waiting for receipts are events, and carry their exact moment, whoever tells them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.interaction.domain.points.ledger import Ledger, deadline, evolve
from services.interaction.domain.points.ledger import fold as folded
from shared.decider import NewEvent
from shared.events.contract import EventData
from shared.events.points import DebtPaid, Lot, PointsExpired, PointsGivenBack, Portion

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Dated:
    """Points with the moment at which something becomes of them."""

    at: datetime
    points: int


@dataclass(frozen=True, slots=True)
class Balance:
    """What a customer has: `usable` now, `kept` for receipts that have not come yet.

    `pending` by when they can be spent, `expiring` by the end of their life, each moment once.
    """

    usable: int
    kept: int
    owed: int
    pending: Sequence[Dated]
    expiring: Sequence[Dated]


def balance_at(state: Ledger, at: datetime) -> Balance:
    """What the customer has at the moment, nothing of it below 0."""
    state = fold(state, due(state, at))
    lots = state.lots.values()
    return Balance(
        usable=usable_at(state, at),
        kept=sum(each.points for each in state.spendings.values() if each.lapses is not None),
        owed=state.owed,
        pending=_by_moment((lot.usable_from, lot.points) for lot in lots if lot.usable_from > at),
        expiring=_by_moment(
            (lot.expires, lot.points) for lot in lots if lot.expires is not None and lot.points
        ),
    )


def usable_at(state: Ledger, at: datetime) -> int:
    """Points that can be spent; of a ledger for which nothing is due."""
    return sum(lot.points for lot in state.lots.values() if lot.usable_from <= at)


def _by_moment(found: Iterable[tuple[datetime, int]]) -> Sequence[Dated]:
    sums: dict[datetime, int] = {}
    for moment, points in found:
        if points:
            sums[moment] = sums.get(moment, 0) + points
    return [Dated(moment, points) for moment, points in sorted(sums.items())]


def fold(state: Ledger, events: Sequence[NewEvent]) -> Ledger:
    """The ledger after events that are about to be recorded."""
    return folded((event.data for event in events), state) if events else state


def due(state: Ledger, at: datetime) -> list[NewEvent]:
    """What time has changed by the moment, in order, each at its own moment.

    What comes back to a lot whose life is over expires at once.
    """
    events: list[NewEvent] = []
    now = datetime.min.replace(tzinfo=UTC)
    while (moment := deadline(state)) is not None and moment <= at:
        now = max(now, moment)
        data = _due_first(state, moment)
        state = evolve(state, data)
        events.append(NewEvent(data, now))
    return events


def _due_first(state: Ledger, moment: datetime) -> EventData:
    for lot in state.lots.values():
        if lot.points and lot.expires == moment:
            return PointsExpired(lot=lot.lot, points=lot.points)
    spending = next(each for each in state.spendings.values() if each.lapses == moment)
    given, paid = credited(state, spending.taken)
    return PointsGivenBack(
        spending=spending.spending,
        points=spending.points,
        given=given,
        debt_paid=paid,
        why="lapsed",
    )


def take(
    state: Ledger, points: int, at: datetime, *, pending: bool, without: str | None = None
) -> tuple[Portion, ...]:
    """Up to so many points: those that expire first, and pending ones last, if at all."""
    found: list[Portion] = []
    for lot in sorted(state.lots.values(), key=lambda lot: _rank(lot, at)):
        if points == 0:
            break
        if lot.lot == without or lot.points == 0 or (lot.usable_from > at and not pending):
            continue
        portion = portion_of(lot, min(points, lot.points))
        points -= portion.points
        found.append(portion)
    return tuple(found)


def _rank(lot: Lot, at: datetime) -> tuple[bool, datetime, datetime, str]:
    return lot.usable_from > at, lot.expires or _NEVER, lot.usable_from, lot.lot


def portion_of(lot: Lot, points: int) -> Portion:
    """So many points of a lot."""
    return Portion(
        lot=lot.lot,
        points=points,
        usable_from=lot.usable_from,
        expires=lot.expires,
        origins=lot.origins,
    )


def last_of(taken: Sequence[Portion], points: int) -> tuple[Portion, ...]:
    """Up to so many points of portions, what was taken last first."""
    found: list[Portion] = []
    for portion in reversed(taken):
        if points == 0:
            break
        part = portion.model_copy(update={"points": min(points, portion.points)})
        points -= part.points
        found.append(part)
    return tuple(found)


def credited(state: Ledger, portions: Sequence[Portion]) -> tuple[tuple[Portion, ...], int]:
    """What of the portions comes to its lot, and how much pays for what is owed."""
    owed = state.owed
    left: list[Portion] = []
    for portion in portions:
        paid = min(owed, portion.points)
        owed -= paid
        if portion.points > paid:
            left.append(portion.model_copy(update={"points": portion.points - paid}))
    return tuple(left), state.owed - owed


def netted(state: Ledger, at: datetime) -> list[NewEvent]:
    """Payment of what is owed by what is there, after both came together."""
    taken = take(state, state.owed, at, pending=True)
    points = sum(portion.points for portion in taken)
    return [NewEvent(DebtPaid(points=points, taken=taken), at)] if points else []


def sum_of(portions: Iterable[Portion]) -> int:
    """Points of all portions."""
    return sum(portion.points for portion in portions)
