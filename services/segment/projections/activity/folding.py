"""The fold of activity: receipts as they come and go, moves when they end, the record as it stands.

What one fact changes has an inverse: `sign` is 1 for what happens and -1 for what turns out not to
have happened, or not here. A receipt counts at its own moment, as it does in totals.
"""

from bisect import bisect_left
from collections.abc import Mapping
from datetime import datetime

import msgspec

from services.segment.projections.activity.document import Activity, BranchActivity, Pending
from shared.envelope import Zoned
from shared.events import topic_of
from shared.events.customer import CustomerChanged, CustomerRegistered
from shared.events.interaction import ReceiptRecorded, ReceiptReturned, ReceiptVoided
from shared.events.merging import (
    CustomerAbsorbed,
    CustomerErased,
    CustomerMerged,
    MergeReverted,
)
from shared.events.moving import FactWithdrawn
from shared.moments import counted, milliseconds, unpacked
from shared.moves import MOVES, Ended, MovedFacts, Moving, Withdrawn
from shared.projection import Event, Projection

Branches = list[BranchActivity]
KEPT = ("home_branch", "city", "acquisition", "internal")


class Fields(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is read of the fields of a record."""

    home_branch: str | None = None
    city: str | None = None
    acquisition: str | None = None
    internal: bool | None = None


class Registered(Fields, frozen=True, gc=False, kw_only=True):
    """Of `customer.registered`."""


class Changed(Fields, frozen=True, gc=False, kw_only=True):
    """Of `customer.changed`."""

    cleared: tuple[str, ...] | None = None


class Absorbed(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.absorbed`."""

    fields: Fields = Fields()


class Reverted(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.merge_reverted`."""

    role: str
    cleared: tuple[str, ...] = ()


class Merged(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.merged`."""


class Erased(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.erased`."""


class Bought(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_recorded`."""

    total: int


class Returned(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_returned`."""

    total: int


class Voided(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.receipt_voided`; `total` is what had not been returned."""

    bought: Zoned
    bought_at: str
    total: int


FACTS: Mapping[str, type[msgspec.Struct]] = {
    ReceiptRecorded.type: Bought,
    ReceiptReturned.type: Returned,
    ReceiptVoided.type: Voided,
}
_MOVED = MovedFacts(FACTS)


def _customer_of(event: Event) -> str | None:
    return event.light.subject


def _apply(known: Activity | None, event: Event) -> Activity:
    activity = Activity(id=event.light.subject or "") if known is None else known
    match event.data:
        case Moving() as moving:
            _keep(activity, moving)
        case Ended() as ended:
            _take_over(activity, ended)
        case Withdrawn() as withdrawn:
            gone: Branches = []
            _add_up(gone, withdrawn)
            _merge(activity.branches, gone, -1)
        case Bought() | Returned() | Voided() as fact:
            _take(activity.branches, event.light.branch, event.light.time, fact)
        case said:
            if not activity.erased:
                _hear(activity, event, said)
    return activity


def _hear(activity: Activity, event: Event, said: object) -> None:
    match said:
        case Registered():
            activity.registered = event.light.time
            _set(activity, said)
        case Changed(cleared=cleared):
            _set(activity, said)
            _clear(activity, cleared or ())
        case Absorbed(fields=fields):
            _set(activity, fields)
        case Reverted(role=role, cleared=cleared):
            activity.away = activity.away and role != "loser"
            _clear(activity, cleared)
        case Merged():
            activity.away = True
        case Erased():
            activity.erased = True
            activity.registered = None
            _clear(activity, KEPT)


def _set(activity: Activity, fields: Fields) -> None:
    for name in KEPT:
        value = getattr(fields, name)
        if value is not None:
            setattr(activity, name, value)


def _clear(activity: Activity, names: tuple[str, ...]) -> None:
    for name in names:
        if name == "internal":
            activity.internal = False
        elif name in KEPT:
            setattr(activity, name, None)


def _keep(activity: Activity, moving: Moving) -> None:
    """Add up the facts of a move apart, until it ends."""
    pending = next((each for each in activity.pending if each.move == moving.move), None)
    if pending is None:
        pending = Pending(moving.move, [])
        activity.pending.append(pending)
    _add_up(pending.branches, moving)


def _take_over(activity: Activity, ended: Ended) -> None:
    for pending in activity.pending:
        if pending.move == ended.move:
            activity.pending.remove(pending)
            _merge(activity.branches, pending.branches, 1 if ended.comes else -1)
            return


def _add_up(branches: Branches, moving: Moving | Withdrawn) -> None:
    for fact in _MOVED.of(moving):
        _take(branches, fact.branch, fact.time, fact.data)


def _take(branches: Branches, branch: str | None, time: datetime, fact: object) -> None:
    match fact:
        case Bought(total=total):
            _change(branches, _named(branch), milliseconds(time), total, 1)
        case Voided(bought=bought, bought_at=bought_at, total=total):
            _change(branches, bought_at, milliseconds(bought), -total, -1)
        case Returned(total=total):
            _change(branches, _named(branch), None, -total, 0)


def _merge(branches: Branches, facts: Branches, sign: int) -> None:
    for each in facts:
        _change(branches, each.branch, None, sign * each.spent, 0)
        for at in unpacked(each.bought):
            _change(branches, each.branch, at, 0, sign)
        for at in unpacked(each.owed):
            _change(branches, each.branch, at, 0, -sign)


def _change(branches: Branches, branch: str, at: int | None, spent: int, sign: int) -> None:
    """A receipt more (`sign` 1), one less (-1), or none at a branch; an empty one is not there."""
    place = bisect_left(branches, branch, key=_branch)
    if place == len(branches) or branches[place].branch != branch:
        branches.insert(place, BranchActivity(branch))
    there = branches[place]
    there.spent += spent
    if at is not None:
        there.bought, there.owed = counted(there.bought, there.owed, at, sign)
    if there == BranchActivity(branch):
        del branches[place]


def _branch(each: BranchActivity) -> str:
    return each.branch


def _named(branch: str | None) -> str:
    if branch is None:
        message = "a receipt or return has a branch"
        raise ValueError(message)
    return branch


ACTIVITY: Projection[Activity] = Projection(
    name="activity_v1",
    topics=(
        topic_of(CustomerRegistered.type, "customer"),
        topic_of(ReceiptRecorded.type, "interaction"),
    ),
    reads={
        CustomerRegistered.type: Registered,
        CustomerChanged.type: Changed,
        CustomerMerged.type: Merged,
        CustomerAbsorbed.type: Absorbed,
        MergeReverted.type: Reverted,
        CustomerErased.type: Erased,
        FactWithdrawn.type: Withdrawn,
        **FACTS,
        **MOVES,
    },
    document=Activity,
    target=_customer_of,
    apply=_apply,
)
