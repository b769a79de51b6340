"""Where a customer stands in a series, as the stream has it."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from shared.events.contract import EventData
from shared.events.series import (
    JourneyEnded,
    JourneyEntered,
    JourneyNoted,
    JourneyPassedOver,
    JourneyStepTaken,
    JourneyWaiting,
)


@dataclass(frozen=True, slots=True)
class Note:
    """Something that may count: recorded `at`, `happened` not after it, by the event `cause`."""

    at: datetime
    happened: datetime
    cause: str
    enters: bool = False
    signs: AbstractSet[str] = field(default_factory=frozenset)
    ends: Literal["merged", "erased"] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """An open journey: since when it is where it is, in the steps of a version.

    Without an `outcome` it stands at `step` (None: before the first), until a moment where it goes
    on by itself then; with one the step is behind it, and the next is to be taken.
    """

    number: int
    version: int
    entered: datetime
    since: datetime
    step: str | None = None
    outcome: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Journey:
    """All journeys of a customer: how many, the open one, when the last ended, what is noted."""

    number: int = 0
    open: Standing | None = None
    ended: datetime | None = None
    notes: tuple[Note, ...] = ()


def evolve(state: Journey, data: EventData) -> Journey:
    """The journeys after an event."""
    match data:
        case JourneyNoted():
            return replace(state, notes=(*state.notes, _note(data)))
        case JourneyPassedOver(until=passed):
            return _after(state, passed)
        case JourneyEntered(number=number, version=version, at=at):
            standing = Standing(number, version, at, at)
            return replace(_after(state, at), number=number, open=standing)
        case JourneyEnded(at=at):
            return replace(_after(state, at), open=None, ended=at)
    if state.open is None:
        message = f"nobody is on a journey for {data.type}"
        raise TypeError(message)
    match data:
        case JourneyWaiting(step=step, at=at, until=until):
            standing = replace(state.open, step=step, outcome=None, since=at, until=until)
        case JourneyStepTaken(step=step, at=at, outcome=outcome):
            standing = replace(state.open, step=step, outcome=outcome, since=at, until=None)
        case _:
            message = f"a journey has no event {data.type}"
            raise TypeError(message)
    return replace(_after(state, standing.since), open=standing)


def _after(state: Journey, at: datetime) -> Journey:
    """Without what was noted up to a moment: it has come to what it comes to."""
    return replace(state, notes=tuple(note for note in state.notes if note.at > at))


def _note(data: JourneyNoted) -> Note:
    signs = frozenset(data.signs)
    return Note(data.at, data.happened, data.cause, data.enters, signs, data.ends)
