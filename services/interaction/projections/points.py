"""Who has points, and when time changes it: one document per customer.

It holds the lots that have points left and what is kept for receipts, so that `due_at` is the next
moment at which a life ends or a spending lapses. What can be spent is asked of the ledger itself;
this answers for many customers at once, and may be a little late.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from shared.events import topic_of
from shared.events.contract import show_moment
from shared.events.merging import CustomerErased
from shared.events.points import (
    DebtPaid,
    PointsEarned,
    PointsExpired,
    PointsGivenBack,
    PointsGranted,
    PointsMovedIn,
    PointsMovedOut,
    PointsReversed,
    PointsSpent,
    PointsWithdrawn,
    SpendingPaid,
)
from shared.projection import Document, Event, Projection


class LotLeft(msgspec.Struct):
    """What is left of a lot."""

    points: int
    usable_from: datetime
    expires: datetime | None = None


class Kept(msgspec.Struct):
    """What is kept for a receipt."""

    points: int
    lapses: datetime


class PointsEntry(Document, kw_only=True, omit_defaults=True):
    """The points of a customer; `branches` are those where some were earned.

    `expiry` is the first end of a life with the customer's id, so that lists go by one unique key.
    """

    lots: dict[str, LotLeft] = msgspec.field(default_factory=dict)
    kept: dict[str, Kept] = msgspec.field(default_factory=dict)
    owed: int = 0
    branches: list[str] = msgspec.field(default_factory=list)
    due_at: datetime | None = None
    expiry: str | None = None


class Portion(msgspec.Struct, frozen=True, gc=False):
    """Points of a lot."""

    lot: str
    points: int
    usable_from: datetime
    expires: datetime | None = None


class Earned(msgspec.Struct, frozen=True, gc=False):
    """Of `points.earned`."""

    fact: str
    points: int
    usable_from: datetime
    expires: datetime | None = None
    debt_paid: int = 0

    @property
    def lot(self) -> str:
        """The lot is named by its receipt."""
        return self.fact


class Granted(msgspec.Struct, frozen=True, gc=False):
    """Of `points.granted`."""

    grant: str
    points: int
    usable_from: datetime
    expires: datetime | None = None
    debt_paid: int = 0

    @property
    def lot(self) -> str:
        """The lot is named by its grant."""
        return self.grant


class Withdrawn(msgspec.Struct, frozen=True, gc=False):
    """Of `points.withdrawn`."""

    taken: list[Portion]


class Spent(msgspec.Struct, frozen=True, gc=False):
    """Of `points.spent`."""

    spending: str
    points: int
    taken: list[Portion]
    debt: int = 0
    lapses: datetime | None = None


class Paid(msgspec.Struct, frozen=True, gc=False):
    """Of `points.spending_paid`."""

    spending: str


class GivenBack(msgspec.Struct, frozen=True, gc=False):
    """Of `points.given_back`."""

    spending: str
    points: int
    given: list[Portion]
    debt_paid: int = 0


class Reversed(msgspec.Struct, frozen=True, gc=False):
    """Of `points.reversed`."""

    taken: list[Portion]
    debt: int = 0


class Expired(msgspec.Struct, frozen=True, gc=False):
    """Of `points.expired`."""

    lot: str


class Settled(msgspec.Struct, frozen=True, gc=False):
    """Of `points.debt_paid`."""

    points: int
    taken: list[Portion]


class Out(msgspec.Struct, frozen=True, gc=False):
    """Of `points.moved_out`."""

    why: str
    debt: int = 0
    lots: list[str] = []
    spendings: list[str] = []


class MovedSpending(msgspec.Struct, frozen=True, gc=False):
    """A spending that changes hands."""

    spending: str
    points: int
    lapses: datetime | None = None


class MovedDebt(msgspec.Struct, frozen=True, gc=False):
    """A debt that changes hands."""

    points: int


class In(msgspec.Struct, frozen=True, gc=False):
    """Of `points.moved_in`."""

    lots: list[Portion] = []
    spendings: list[MovedSpending] = []
    debts: list[MovedDebt] = []


class Erased(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.erased`."""


def _subject(event: Event) -> str | None:
    return event.light.subject


def apply(entry: PointsEntry | None, event: Event) -> PointsEntry:
    """The points of a customer after an event; who was erased has none for ever."""
    entry = entry or PointsEntry(id=event.light.subject or "")
    if entry.removed:
        return entry
    data = event.data
    if isinstance(data, Erased):
        return PointsEntry(id=entry.id, rev=entry.rev, versions=entry.versions, removed=True)
    branch = event.light.branch
    if isinstance(data, Earned) and branch is not None and branch not in entry.branches:
        entry.branches.append(branch)
    _count(entry, data)
    ends = [lot.expires for lot in entry.lots.values() if lot.expires is not None]
    expires = min(ends, default=None)
    entry.expiry = None if expires is None else f"{show_moment(expires)}|{entry.id}"
    entry.due_at = min([*ends, *(each.lapses for each in entry.kept.values())], default=None)
    return entry


def _count(entry: PointsEntry, data: object) -> None:
    match data:
        case Earned() | Granted():
            left = data.points - data.debt_paid
            _add(entry, [Portion(data.lot, left, data.usable_from, data.expires)])
            entry.owed -= data.debt_paid
        case Withdrawn():
            _take(entry, data.taken)
        case Spent():
            _spend(entry, data)
        case Paid():
            entry.kept.pop(data.spending, None)
        case GivenBack():
            _give_back(entry, data)
        case Reversed(taken=taken, debt=debt):
            _take(entry, taken)
            entry.owed += debt
        case Expired(lot=lot):
            entry.lots.pop(lot, None)
        case Settled(points=points, taken=taken):
            _take(entry, taken)
            entry.owed -= points
        case Out() | In():
            _move(entry, data)


def _move(entry: PointsEntry, data: Out | In) -> None:
    if isinstance(data, Out):
        _move_out(entry, data)
    else:
        _move_in(entry, data)


def _add(entry: PointsEntry, portions: Iterable[Portion]) -> None:
    for each in portions:
        known = entry.lots.get(each.lot)
        if known is not None:
            known.points += each.points
        elif each.points:
            entry.lots[each.lot] = LotLeft(each.points, each.usable_from, each.expires)


def _take(entry: PointsEntry, portions: Iterable[Portion]) -> None:
    for each in portions:
        lot = entry.lots[each.lot]
        lot.points -= each.points
        if lot.points == 0:
            del entry.lots[each.lot]


def _spend(entry: PointsEntry, data: Spent) -> None:
    _take(entry, data.taken)
    entry.owed += data.debt
    if data.lapses is not None:
        entry.kept[data.spending] = Kept(data.points, data.lapses)


def _give_back(entry: PointsEntry, data: GivenBack) -> None:
    _add(entry, data.given)
    entry.owed -= data.debt_paid
    kept = entry.kept.get(data.spending)
    if kept is not None:
        kept.points -= data.points
        if kept.points <= 0:
            del entry.kept[data.spending]


def _move_out(entry: PointsEntry, data: Out) -> None:
    entry.owed -= data.debt
    for lot in data.lots:
        entry.lots.pop(lot, None)
    for spending in data.spendings:
        entry.kept.pop(spending, None)


def _move_in(entry: PointsEntry, data: In) -> None:
    _add(entry, data.lots)
    entry.owed += sum(each.points for each in data.debts)
    for each in data.spendings:
        if each.lapses is not None:
            entry.kept[each.spending] = Kept(each.points, each.lapses)


_READS: Mapping[str, type[msgspec.Struct]] = {
    PointsEarned.type: Earned,
    PointsGranted.type: Granted,
    PointsWithdrawn.type: Withdrawn,
    PointsSpent.type: Spent,
    SpendingPaid.type: Paid,
    PointsGivenBack.type: GivenBack,
    PointsReversed.type: Reversed,
    PointsExpired.type: Expired,
    DebtPaid.type: Settled,
    PointsMovedOut.type: Out,
    PointsMovedIn.type: In,
    CustomerErased.type: Erased,
}

POINTS: Projection[PointsEntry] = Projection(
    name="points_v1",
    topics=(
        topic_of(PointsEarned.type, "interaction"),
        topic_of(CustomerErased.type, "customer"),
    ),
    reads=_READS,
    document=PointsEntry,
    target=_subject,
    apply=apply,
    indexes=((("due_at", 1),), (("expiry", 1),)),
)
