"""On which static lists a customer is: a stream `lists-<customer>`, and nothing but a fold of it.

A customer who is merged hands the lists over: they leave here and are entered at the survivor, and
commands are redirected there. What came by a merge is remembered by it, so that a revert takes
exactly that away again, and what was handed over comes back; what two merges have brought stays
until both are reverted, whichever of them was heard of first. What a person has taken off or put on
since is a matter of the survivor. Who is erased leaves all lists, and is on none ever after.

Merges of merges are told by different streams, so their events may come in any order. A stream that
is closed therefore passes on what a merge brings or takes back: it enters and leaves here in one
moment, and goes on with the merge that closed it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from shared.decider import Decider, NewEvent, not_found
from shared.events.contract import EventData
from shared.events.lists import (
    ListCause,
    ListEntered,
    ListLeft,
    ListsClosed,
    ListsGivenBack,
    ListsHandedOver,
    ListsReceived,
    ListsTakenBack,
)
from shared.execute.commands import redirected

Names = frozenset[str]
NONE: Names = frozenset()
ByMerge = Mapping[str, Names]


def listing_stream(customer: str) -> str:
    """The stream of the lists of a customer."""
    return f"lists-{customer}"


@dataclass(frozen=True, slots=True)
class PutOn:
    """Put the customer on a list."""

    list: str
    cause: ListCause
    at: datetime


@dataclass(frozen=True, slots=True)
class TakeOff:
    """Take the customer off a list; with `only`, who is on it by the job of that id."""

    list: str
    cause: ListCause
    at: datetime
    only: str | None = None


@dataclass(frozen=True, slots=True)
class HandOver:
    """The customer is another one since an event."""

    merge: str
    survivor: str
    event: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Receive:
    """A merge brings these lists."""

    merge: str
    lists: Names
    event: str
    at: datetime


@dataclass(frozen=True, slots=True)
class GiveBack:
    """A merge is reverted that brought some of these lists."""

    merge: str
    lists: Names
    event: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The customer is itself again."""

    merge: str
    event: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Close:
    """The customer is nobody."""

    erase: str
    event: str
    at: datetime


Command = PutOn | TakeOff | HandOver | Receive | GiveBack | TakeBack | Close


@dataclass(frozen=True, slots=True)
class Away:
    """Since a merge, lists are a matter of the survivor."""

    merge: str
    survivor: str


@dataclass(frozen=True, slots=True)
class Listing:
    """On which lists a customer is.

    `jobs` are those that put the customer on a list, where one did. `gained` are lists that are
    here by merges alone, `lent` those that were handed over and come back with its revert. `passed`
    are those that came by a merge meanwhile, and went on.
    """

    on: Names = NONE
    jobs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    gained: ByMerge = field(default_factory=lambda: MappingProxyType({}))
    lent: Names = NONE
    away: Away | None = None
    passed: ByMerge = field(default_factory=lambda: MappingProxyType({}))
    closed: bool = False

    def gained_by(self, merge: str) -> Names:
        """What is here by a merge, or was handed on."""
        return self.gained.get(merge, NONE)

    def gained_without(self, merge: str) -> Names:
        """What is here by other merges, or was handed on."""
        return NONE.union(*(names for by, names in self.gained.items() if by != merge))


def _decide(command: Command, state: Listing) -> Sequence[NewEvent]:
    match command:
        case PutOn():
            return _put_on(command, state)
        case TakeOff():
            return _take_off(command, state)
        case HandOver():
            return _hand_over(command, state)
        case Receive():
            return _receive(command, state)
        case GiveBack():
            return _give_back(command, state)
        case TakeBack():
            return _take_back(command, state)
        case Close():
            return _close(command, state)


def _put_on(command: PutOn, state: Listing) -> Sequence[NewEvent]:
    if state.closed:
        raise not_found("customer", "of this id")
    _require_here(state)
    if command.list in state.on:
        return ()
    return (NewEvent(ListEntered(list=command.list, cause=command.cause), command.at),)


def _take_off(command: TakeOff, state: Listing) -> Sequence[NewEvent]:
    _require_here(state)
    if command.list not in state.on:
        return ()
    if command.only is not None and state.jobs.get(command.list) != command.only:
        return ()
    return (NewEvent(ListLeft(list=command.list, cause=command.cause), command.at),)


def _require_here(state: Listing) -> None:
    if state.away is not None:
        raise redirected(state.away.survivor)


def _hand_over(command: HandOver, state: Listing) -> Sequence[NewEvent]:
    if state.closed or state.away is not None:
        return ()
    told = ListsHandedOver(merge=command.merge, survivor=command.survivor)
    cause = _by_merge(command.merge, command.event)
    return (NewEvent(told, command.at), *_left(state.on, cause, command.at))


def _receive(command: Receive, state: Listing) -> Sequence[NewEvent]:
    """What the customer has already does not come by this merge; by another one, it does by both.

    That it was received is told in any case: received again later, it would undo what people did.
    """
    if state.closed:
        return ()
    also = command.lists & (state.on | state.lent) & state.gained_without(command.merge)
    told = NewEvent(
        ListsReceived(merge=command.merge, also=tuple(sorted(also)) or None), command.at
    )
    cause = _by_merge(command.merge, command.event)
    if state.away is None:
        return (told, *_entered(command.lists - state.on, cause, command.at))
    on = _by_merge(state.away.merge, command.event)
    return (told, *_through(command.lists - state.lent, cause, on, command.at))


def _give_back(command: GiveBack, state: Listing) -> Sequence[NewEvent]:
    brought = state.gained_by(command.merge) & command.lists & (state.on | state.lent)
    both = brought & state.gained_without(command.merge)
    told: Sequence[NewEvent] = ()
    if both:
        given = ListsGivenBack(merge=command.merge, lists=tuple(sorted(both)))
        told = (NewEvent(given, command.at),)
    cause = _by_merge(command.merge, command.event)
    if state.away is None:
        return (*told, *_left(brought - both, cause, command.at))
    back = _by_merge(state.away.merge, command.event)
    return (*told, *_through(brought - both, back, cause, command.at))


def _take_back(command: TakeBack, state: Listing) -> Sequence[NewEvent]:
    if state.closed or state.away is None or state.away.merge != command.merge:
        return ()
    cause = _by_merge(command.merge, command.event)
    told = ListsTakenBack(merge=command.merge)
    return (NewEvent(told, command.at), *_entered(state.lent, cause, command.at))


def _close(command: Close, state: Listing) -> Sequence[NewEvent]:
    if state.closed:
        return ()
    cause = ListCause(kind="erase", event=command.event)
    told = NewEvent(ListsClosed(erase=command.erase), command.at)
    return (*_left(state.on, cause, command.at), told)


def _by_merge(merge: str, event: str) -> ListCause:
    return ListCause(kind="merge", merge=merge, event=event)


def _entered(names: Iterable[str], cause: ListCause, at: datetime) -> tuple[NewEvent, ...]:
    return tuple(NewEvent(ListEntered(list=name, cause=cause), at) for name in sorted(names))


def _left(names: Iterable[str], cause: ListCause, at: datetime) -> tuple[NewEvent, ...]:
    return tuple(NewEvent(ListLeft(list=name, cause=cause), at) for name in sorted(names))


def _through(
    names: Collection[str], entering: ListCause, leaving: ListCause, at: datetime
) -> tuple[NewEvent, ...]:
    return (*_entered(names, entering, at), *_left(names, leaving, at))


def _evolve(state: Listing, data: EventData) -> Listing:
    match data:
        case ListEntered(list=name, cause=cause):
            return _evolve_entered(_by_job(state, name, cause.job), name, cause.merge)
        case ListLeft(list=name, cause=cause):
            return _evolve_left(_by_job(state, name, None), name, cause.merge)
        case ListsHandedOver():
            return replace(state, away=Away(data.merge, data.survivor))
        case ListsReceived(merge=merge, also=also):
            after = replace(state, gained=_with(state.gained, merge, frozenset(also or ())))
            passed = _with(state.passed, merge, NONE)
            return after if state.away is None else replace(after, passed=passed)
        case ListsGivenBack(merge=merge, lists=lists):
            left = {**state.gained, merge: state.gained_by(merge) - set(lists)}
            return replace(state, gained=_existing(left))
        case ListsTakenBack():
            return replace(state, away=None, passed=MappingProxyType({}))
        case ListsClosed():
            return Listing(closed=True)
        case _:
            message = f"{data.type} does not belong to the stream of a customer's lists"
            raise TypeError(message)


def _by_job(state: Listing, name: str, job: str | None) -> Listing:
    """The state that knows by which job the customer is on the list; None: by none."""
    if job is None and name not in state.jobs:
        return state
    jobs = {**state.jobs, name: job} if job is not None else {**state.jobs}
    if job is None:
        del jobs[name]
    return replace(state, jobs=MappingProxyType(jobs))


def _evolve_entered(state: Listing, name: str, merge: str | None) -> Listing:
    after = replace(state, on=state.on | {name})
    if merge is None:
        return after
    if name in state.lent:
        # It was handed over by this merge, and is back.
        return replace(after, lent=state.lent - {name})
    if merge in state.passed:
        after = replace(after, passed=_with(state.passed, merge, frozenset({name})))
    return replace(after, gained=_with(state.gained, merge, frozenset({name})))


def _evolve_left(state: Listing, name: str, merge: str | None) -> Listing:
    after = replace(state, on=state.on - {name})
    if state.away is not None and merge == state.away.merge:
        return replace(after, lent=state.lent | {name})
    gained = {by: names - {name} for by, names in state.gained.items()}
    return replace(after, gained=_existing(gained))


def _with(merges: ByMerge, merge: str, names: Names) -> ByMerge:
    return MappingProxyType({**merges, merge: merges.get(merge, NONE) | names})


def _existing(merges: ByMerge) -> ByMerge:
    return MappingProxyType({by: names for by, names in merges.items() if names})


LISTING: Decider[Command, Listing] = Decider(Listing, _decide, _evolve)
