"""Points go on with another customer: after a merge, back after its revert, or with one receipt.

Each move is one transaction over all ledgers that it passes: of a customer who was merged twice
over, the points go from the first to the last through those between, so that each merge can be
undone on its own. A revert takes back what is left of what its merge brought: lots with what was
not spent of them, debts that were not paid, spendings with the right to get them back. What came
later stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TypeVar, assert_never

from services.interaction.domain.points.balance import due, fold, netted, sum_of
from services.interaction.domain.points.deciding import taken_back
from services.interaction.domain.points.ledger import Ledger, came, ledger_stream
from shared.decider import NewEvent, Refused
from shared.events.points import (
    AnyTransferReason,
    Debt,
    Lot,
    PointsEarned,
    PointsMovedIn,
    PointsMovedOut,
    PointsOrigin,
    PointsReversed,
    Spending,
)
from shared.eventstore import Claim

ItemT = TypeVar("ItemT", Lot, Spending, Debt)
OUTDATED = "points-on-the-way"
REST_LINES = 5
"""A line is some 70 bytes of JSON; the rest of a lot, or a portion, is as much as these."""
LINES_PER_EVENT = 8_000
LINES_OF_A_MOVE = 45_000
"""Both leave room in what Kafka takes as a record, and a commit as a document."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Let all points of the first of the path go on with the last, who was not merged."""

    merge: str
    path: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Revert:
    """Let the first of the path have back what the merge brought to the last."""

    merge: str
    path: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class MoveReceipt:
    """Let a receipt's points be those of another customer.

    `trail` are the ledgers that lead to the source, from the one that recorded it first: they are
    told as well, since what leads from one to the next may be a merge, and be reverted.
    """

    fact: str
    source: str
    target: str
    at: datetime
    trail: tuple[str, ...] = ()


Move = Merge | Revert | MoveReceipt


@dataclass(frozen=True, slots=True)
class _Bundle:
    """What changes hands."""

    lots: Sequence[Lot]
    spendings: Sequence[Spending]
    debts: Sequence[Debt]

    @property
    def items(self) -> Sequence[Lot | Spending]:
        return [*self.lots, *self.spendings]

    @property
    def points(self) -> int:
        return sum(lot.points for lot in self.lots)

    def through(self, origin: PointsOrigin) -> "_Bundle":
        """The same, brought by one more merge."""
        return _Bundle(
            [_brought(each, (*each.origins, origin)) for each in self.lots],
            [_brought(each, (*each.origins, origin)) for each in self.spendings],
            [_brought(each, (*each.origins, origin)) for each in self.debts],
        )

    def before(self, merge: str) -> "_Bundle":
        """The same as it was before the merge brought it."""
        return _Bundle(
            [_brought(each, _until(each.origins, merge)) for each in self.lots],
            [_brought(each, _until(each.origins, merge)) for each in self.spendings],
            [_brought(each, _until(each.origins, merge)) for each in self.debts],
        )


def _brought(item: ItemT, origins: tuple[PointsOrigin, ...]) -> ItemT:
    return item.model_copy(update={"origins": origins})


def _until(origins: tuple[PointsOrigin, ...], merge: str) -> tuple[PointsOrigin, ...]:
    places = [place for place, origin in enumerate(origins) if origin.merge == merge]
    return origins[: places[0]] if places else origins


Given = dict[str, list[NewEvent]]


def decide_move(
    move: Move, states: Mapping[str, Ledger], _claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    """The events of every ledger on the way; nothing where it has been done.

    `states` by stream. Raises `Refused` (`OUTDATED`) where the way is another one by now.
    """
    match move:
        case Merge():
            return _merge(move, states)
        case Revert():
            return _revert(move, states)
        case MoveReceipt():
            return _move_receipt(move, states)
        case _:
            assert_never(move)


def _outdated() -> Refused:
    return Refused(OUTDATED, 409, "The points have gone another way by now.")


def _require_way(path: Sequence[str], states: Mapping[str, Ledger]) -> None:
    """Each went on with the next, and the last with nobody."""
    for here, there in pairwise(path):
        moved = states[ledger_stream(here)].moved
        if moved is None or moved.to != there:
            raise _outdated()
    if states[ledger_stream(path[-1])].moved is not None:
        raise _outdated()


def _merge(move: Merge, states: Mapping[str, Ledger]) -> Given:
    first = move.path[0]
    state = states[ledger_stream(first)]
    if state.moved is not None:
        return {}
    _require_way(move.path[1:], states)
    events = due(state, move.at)
    state = fold(state, events)
    given: Given = {ledger_stream(first): events}
    bundle = _carried(_Bundle([*state.lots.values()], [*state.spendings.values()], state.debts))
    merge = move.merge
    for here, there in pairwise(move.path):
        given[ledger_stream(here)].append(_out(bundle, merge, there, "merged", move.at))
        bundle = bundle.through(PointsOrigin(merge=merge, customer=here))
        given[ledger_stream(there)] = _in(bundle, merge, here, "merged", move.at)
        onward = states[ledger_stream(there)].moved
        merge = merge if onward is None else onward.merge
    return _ended(given, move.path[-1], states, move.at)


def _revert(move: Revert, states: Mapping[str, Ledger]) -> Given:
    state = states[ledger_stream(move.path[0])]
    if state.moved is None or state.moved.merge != move.merge:
        return {}
    _require_way(move.path, states)
    last = move.path[-1]
    events = due(states[ledger_stream(last)], move.at)
    state = fold(states[ledger_stream(last)], events)
    bundle = _Bundle(
        [each for each in state.lots.values() if came(each, move.merge)],
        [each for each in state.spendings.values() if came(each, move.merge)],
        [each for each in state.debts if came(each, move.merge)],
    )
    bundle = _carried(bundle)
    given: Given = {ledger_stream(last): events}
    for here, there in pairwise(reversed(move.path)):
        given[ledger_stream(here)].append(_out(bundle, move.merge, there, "reverted", move.at))
        if there == move.path[0]:
            bundle = bundle.before(move.merge)
        given[ledger_stream(there)] = _in(bundle, move.merge, here, "reverted", move.at)
    return _ended(given, move.path[0], states, move.at)


def _out(bundle: _Bundle, merge: str, to: str, why: AnyTransferReason, at: datetime) -> NewEvent:
    data = PointsMovedOut(
        merge=merge,
        to=to,
        why=why,
        points=bundle.points,
        debt=sum(each.points for each in bundle.debts),
        lots=tuple(each.lot for each in bundle.lots),
        spendings=tuple(each.spending for each in bundle.spendings),
    )
    return NewEvent(data, at)


def _in(
    bundle: _Bundle, merge: str, other: str, why: AnyTransferReason, at: datetime
) -> list[NewEvent]:
    """What comes, in as many events as it takes; the first one tells the debts."""
    parts: list[tuple[list[Lot], list[Spending]]] = [([], [])]
    size = 0
    for item in bundle.items:
        size += _lines_of(item)
        if size > LINES_PER_EVENT:
            parts.append(([], []))
            size = _lines_of(item)
        if isinstance(item, Lot):
            parts[-1][0].append(item)
        else:
            parts[-1][1].append(item)
    return [
        NewEvent(
            PointsMovedIn(
                merge=merge,
                other=other,
                why=why,
                points=sum(each.points for each in lots),
                debts=() if number else tuple(bundle.debts),
                lots=tuple(lots),
                spendings=tuple(spendings),
            ),
            at,
        )
        for number, (lots, spendings) in enumerate(parts)
    ]


def _lines_of(item: Lot | Spending) -> int:
    """How much there is to tell of it, in lines of receipts."""
    if isinstance(item, Spending):
        return REST_LINES + REST_LINES * len(item.taken)
    return REST_LINES + (0 if item.earning is None else len(item.earning.lines))


def _carried(bundle: _Bundle) -> _Bundle:
    """The same, where it is more than can be moved at once without how the oldest were earned.

    Their points go along; only what comes back of those receipts takes nothing back any more.
    """
    excess = sum(map(_lines_of, bundle.items)) - LINES_OF_A_MOVE
    if excess <= 0:
        return bundle
    lots: list[Lot] = []
    for lot in sorted(bundle.lots, key=lambda lot: (lot.points > 0, lot.usable_from, lot.lot)):
        if excess <= 0 or lot.earning is None:
            lots.append(lot)
        elif lot.points:
            excess -= len(lot.earning.lines)
            lots.append(lot.model_copy(update={"earning": None}))
        else:
            excess -= _lines_of(lot)
    return _Bundle(lots, bundle.spendings, bundle.debts)


def _ended(given: Given, customer: str, states: Mapping[str, Ledger], at: datetime) -> Given:
    """The same with what follows where the points arrive: debts are paid, lives are over."""
    stream = ledger_stream(customer)
    state = fold(states[stream], given[stream])
    expired = due(state, at)
    paid = netted(fold(state, expired), at)
    return {**given, stream: [*given[stream], *expired, *paid]}


def _move_receipt(move: MoveReceipt, states: Mapping[str, Ledger]) -> Given:
    source, target = ledger_stream(move.source), ledger_stream(move.target)
    if states[source].moved is not None or states[target].moved is not None:
        raise _outdated()
    events = due(states[source], move.at)
    state = fold(states[source], events)
    lot = state.lots.get(move.fact)
    if lot is None or lot.earning is None or lot.earning.points == 0:
        return {}
    points = lot.earning.points
    taken = taken_back(state, move.fact, points, move.at)
    left = PointsReversed(
        fact=move.fact,
        points=points,
        taken=taken,
        debt=points - sum_of(taken),
        why="moved",
        to=move.target,
    )
    earned = PointsEarned(
        fact=move.fact,
        points=points,
        debt_paid=min(points, states[target].owed),
        usable_from=lot.usable_from,
        expires=lot.expires,
        earning=lot.earning,
    )
    passed = PointsReversed(fact=move.fact, points=0, taken=(), why="moved", to=move.target)
    given: Given = {
        **{ledger_stream(each): [NewEvent(passed, move.at)] for each in move.trail},
        source: [*events, NewEvent(left, move.at)],
        target: [NewEvent(earned, move.at)],
    }
    return _ended(given, move.target, states, move.at)
