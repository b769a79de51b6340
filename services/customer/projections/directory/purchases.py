"""What receipts, returns, voids and moves change in the list, so that each can be taken back.

All of it is added up per branch. A return lowers the net where it was brought, and is no visit; a
void leaves nothing of its receipt. Facts of a move count, or count no more, once it has ended.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from services.customer.projections.directory import reading
from services.customer.projections.directory.entry import (
    BranchTotals,
    DirectoryEntry,
    PendingMove,
)
from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.moments import counted, ends_of, milliseconds, unpacked
from shared.moves import Ended, MovedFacts, Moving
from shared.projection import Event

Branches = list[BranchTotals]

FACTS: Mapping[str, type[msgspec.Struct]] = {
    ReceiptRecorded.type: reading.Receipt,
    ReceiptReturned.type: reading.Return,
    ReceiptVoided.type: reading.Void,
}
_MOVED = MovedFacts(FACTS)


def purchase(entry: DirectoryEntry, event: Event) -> None:
    """Add up what happened. Raises ValueError where it names no branch and has to."""
    match event.data:
        case Moving() as moving:
            pending = _pending(entry, moving.move)
            for fact in _MOVED.of(moving):
                _take(pending.branches, fact.branch, fact.time, fact.data)
        case Ended() as ended:
            _take_over(entry, ended)
        case fact:
            _take(entry.at_branches, event.light.branch, event.time, fact)
    _sum_up(entry)


def _take(branches: Branches, branch: str | None, time: datetime, fact: object) -> None:
    match fact:
        case reading.Receipt(total=total):
            _change(branches, _named(branch), total, [milliseconds(time)], 1)
        case reading.Return(total=total):
            _change(branches, _named(branch), -total, [], 1)
        case reading.Void(bought=bought, bought_at=branch, total=total):
            _change(branches, branch, -total, [milliseconds(bought)], -1)


def _take_over(entry: DirectoryEntry, ended: Ended) -> None:
    pending = _pending(entry, ended.move)
    entry.pending.remove(pending)
    sign = 1 if ended.comes else -1
    for each in pending.branches:
        _change(entry.at_branches, each.branch, sign * each.spent, unpacked(each.bought), sign)
        _change(entry.at_branches, each.branch, 0, unpacked(each.owed), -sign)


def _pending(entry: DirectoryEntry, move: str) -> PendingMove:
    for each in entry.pending:
        if each.move == move:
            return each
    new = PendingMove(move, [])
    entry.pending = [*entry.pending, new]
    return new


def _change(
    branches: Branches, branch: str, spent: int, receipts: Iterable[int], sign: int
) -> None:
    """Change the net of a branch, and let receipts of some moments come, or go."""
    place = bisect_left(branches, branch, key=_name)
    if place == len(branches) or branches[place].branch != branch:
        branches.insert(place, BranchTotals(branch))
    there = branches[place]
    there.spent += spent
    for at in receipts:
        there.bought, there.owed = counted(there.bought, there.owed, at, sign)
        there.visits += sign
    there.first, there.last = ends_of(there.bought)
    if there == BranchTotals(branch):
        del branches[place]


def _sum_up(entry: DirectoryEntry) -> None:
    at = entry.at_branches
    entry.visits = sum(each.visits for each in at)
    entry.spent = sum(each.spent for each in at)
    entry.first_visit = min((each.first for each in at if each.first is not None), default=None)
    entry.last_visit = max((each.last for each in at if each.last is not None), default=None)


def _name(there: BranchTotals) -> str:
    return there.branch


def _named(branch: str | None) -> str:
    if branch is None:
        message = "a receipt or return has a branch"
        raise ValueError(message)
    return branch
