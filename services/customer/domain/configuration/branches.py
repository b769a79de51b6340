"""Branches: where the chain serves customers, since when, and whether it still does.

A branch that was closed keeps its name and its past; it can open again. Until the first branch is
opened, the chain is taken to have no directory of branches, and any name passes for one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from typing import assert_never
from zoneinfo import available_timezones

from services.customer.domain.configuration.catalogue import (
    MAX_ITEMS,
    RestsOn,
    check_titles,
    whatever,
)
from shared.decider import Decider, NewEvent, Refused, invalid, not_found
from shared.events.configuration import (
    BranchChanged,
    BranchClosed,
    BranchMoved,
    BranchOpened,
    BranchPlace,
    Hours,
)
from shared.events.contract import EventData

KIND = "branch"
MIDNIGHT = "24:00"


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch as its stream has it; `version` is that of its last event.

    `heir` is the branch that its home customers were sent to last, by the event of `heir_version`.
    """

    titles: Mapping[str, str]
    place: BranchPlace
    hours: tuple[Hours, ...]
    opened: str
    version: int
    closed: str | None = None
    heir: str | None = None
    heir_version: int = 0


@dataclass(frozen=True, slots=True)
class Branches:
    """All branches by name; `version` counts the events of the stream."""

    version: int = 0
    items: Mapping[str, Branch] = field(default_factory=dict)

    def open(self) -> Iterator[tuple[str, Branch]]:
        """Those that serve customers."""
        return ((name, each) for name, each in self.items.items() if each.closed is None)

    def is_open(self, name: str) -> bool:
        """Whether a branch serves customers."""
        branch = self.items.get(name)
        return branch is not None and branch.closed is None

    def require(self, name: str, path: str) -> None:
        """Raise `Refused` that names the field, for what is no open branch of the directory."""
        if self.items and not self.is_open(name):
            raise invalid(path, "is no open branch")

    def zone(self, name: str) -> str | None:
        """The time zone of a branch, where it is known."""
        branch = self.items.get(name)
        return None if branch is None else branch.place.zone


@dataclass(frozen=True, slots=True)
class OpenBranch:
    """Open a new branch, or one that had been closed."""

    branch: str
    titles: Mapping[str, str]
    place: BranchPlace
    hours: tuple[Hours, ...]
    since: date
    at: datetime
    rests_on: RestsOn = whatever


@dataclass(frozen=True, slots=True)
class ChangeBranch:
    """Give a branch other titles or hours."""

    branch: str
    titles: Mapping[str, str]
    hours: tuple[Hours, ...]
    at: datetime
    rests_on: RestsOn = whatever


@dataclass(frozen=True, slots=True)
class MoveBranch:
    """Let a branch be at another place."""

    branch: str
    place: BranchPlace
    since: date
    customers_to: str | None
    at: datetime
    rests_on: RestsOn = whatever


@dataclass(frozen=True, slots=True)
class CloseBranch:
    """Let a branch serve nobody any more."""

    branch: str
    since: date
    customers_to: str | None
    at: datetime
    rests_on: RestsOn = whatever


BranchCommand = OpenBranch | ChangeBranch | MoveBranch | CloseBranch


def decide(command: BranchCommand, state: Branches) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, OpenBranch):
        return _open(command, state)
    branch = state.items.get(command.branch)
    if branch is None:
        raise not_found(KIND, command.branch)
    if branch.closed is not None:
        if isinstance(command, CloseBranch):
            return ()
        raise Refused("branch-closed", 409, "The branch is closed.", "open it first")
    match command:
        case ChangeBranch():
            return _change(command, branch, state)
        case MoveBranch():
            return _move(command, branch, state)
        case CloseBranch():
            command.rests_on(branch.version)
            _check_heir(command.customers_to, command.branch, state)
            if command.since.isoformat() < branch.opened:
                raise invalid("since", "is before the branch was opened")
            closed = BranchClosed(
                branch=command.branch,
                since=command.since.isoformat(),
                customers_to=command.customers_to,
            )
            return (NewEvent(closed, command.at, command.branch),)
        case _:
            assert_never(command)


def _open(command: OpenBranch, state: Branches) -> Sequence[NewEvent]:
    known = state.items.get(command.branch)
    opened = BranchOpened(
        branch=command.branch,
        titles=dict(command.titles),
        place=command.place,
        hours=command.hours,
        since=command.since.isoformat(),
    )
    if known is not None and known.closed is None:
        if replace(known, version=0) == _opened(opened, 0):
            return ()
        raise Refused(
            "branch-open", 409, "The branch is open.", "change it or move it, or take another name"
        )
    command.rests_on(None if known is None else known.version)
    if known is None and len(state.items) >= MAX_ITEMS:
        raise Refused("too-many", 422, "There are too many of these.", f"at most {MAX_ITEMS}")
    _check_shown(command.branch, command.titles, command.hours, state)
    _check_place(command.place)
    return (NewEvent(opened, command.at, command.branch),)


def _change(command: ChangeBranch, branch: Branch, state: Branches) -> Sequence[NewEvent]:
    if (dict(command.titles), command.hours) == (dict(branch.titles), branch.hours):
        return ()
    command.rests_on(branch.version)
    _check_shown(command.branch, command.titles, command.hours, state)
    changed = BranchChanged(branch=command.branch, titles=dict(command.titles), hours=command.hours)
    return (NewEvent(changed, command.at, command.branch),)


def _move(command: MoveBranch, branch: Branch, state: Branches) -> Sequence[NewEvent]:
    if command.place == branch.place and command.customers_to is None:
        return ()
    command.rests_on(branch.version)
    _check_place(command.place)
    _check_heir(command.customers_to, command.branch, state)
    moved = BranchMoved(
        branch=command.branch,
        place=command.place,
        since=command.since.isoformat(),
        customers_to=command.customers_to,
    )
    return (NewEvent(moved, command.at, command.branch),)


def _check_heir(heir: str | None, branch: str, state: Branches) -> None:
    if heir is not None and (heir == branch or not state.is_open(heir)):
        raise invalid("customers_to", "is no other open branch")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _check_place(place: BranchPlace) -> None:
    if place.zone not in _zones():
        raise invalid("place.zone", "an IANA name, like Europe/Berlin")


def _check_shown(
    name: str, titles: Mapping[str, str], hours: tuple[Hours, ...], state: Branches
) -> None:
    check_titles(titles, name, ((other, each.titles) for other, each in state.open()))
    for number, each in enumerate(hours):
        if not each.opens < each.closes <= MIDNIGHT:
            raise invalid(f"hours.{number}", "opens before it closes, at 24:00 at the latest")
        if any(
            other.day == each.day and other.opens < each.closes and each.opens < other.closes
            for other in hours[:number]
        ):
            raise invalid(f"hours.{number}", "overlaps with other hours of the day")


def evolve(state: Branches, data: EventData) -> Branches:
    """The branches after an event."""
    version = state.version + 1
    match data:
        case BranchOpened(branch=name):
            branch = _opened(data, version)
        case BranchChanged(branch=name, titles=titles, hours=hours):
            branch = replace(state.items[name], titles=titles, hours=hours, version=version)
        case BranchMoved(branch=name, place=place):
            moved = replace(state.items[name], place=place, version=version)
            branch = _sending(moved, data.customers_to)
        case BranchClosed(branch=name, since=since):
            closed = replace(state.items[name], closed=since, version=version)
            branch = _sending(closed, data.customers_to)
        case _:
            message = f"branches have no event {data.type}"
            raise TypeError(message)
    return Branches(version, {**state.items, name: branch})


def _sending(branch: Branch, heir: str | None) -> Branch:
    if heir is None:
        return branch
    return replace(branch, heir=heir, heir_version=branch.version)


def _opened(data: BranchOpened, version: int) -> Branch:
    return Branch(data.titles, data.place, data.hours, data.since, version)


BRANCHES: Decider[BranchCommand, Branches] = Decider(Branches, decide, evolve)
