"""Journeys: one stream per customer and series, with every journey of the customer through it.

What may count is noted as it is read, and comes to something only when all that was recorded before
is known: so what is read first makes no difference. An event takes effect at its `recordedtime`,
and counts only if it also happened after the journey, or the wait, began. Only who stands nowhere
begins at once, and only where all occasions come by one way: nothing that is unread could change
that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.notify.domain.series.course import Course, marks_of
from services.notify.domain.series.going import NOTHING_KNOWN, Surroundings, upcoming
from services.notify.domain.series.standing import Journey, Note, evolve
from shared.decider import Decider, NewEvent
from shared.events.contract import EventData
from shared.events.series import JourneyEntered, JourneyNoted, JourneyPassedOver
from shared.ids import derived_id

_TICK = timedelta(milliseconds=1)


def journey_stream(series: str, customer: str) -> str:
    """The stream of a customer's journeys through a series."""
    return f"journey-{derived_id('journey', series, customer)}"


@dataclass(frozen=True, slots=True)
class NoteSign:
    """Something has happened that may count. `course` is the series, read after it happened."""

    course: Course
    series: str
    note: Note


@dataclass(frozen=True, slots=True)
class GoOn:
    """Do all that is due before a moment up to which everything is known.

    `surroundings` say what is asked of the customer; `course` is the series as it is now.
    """

    course: Course
    series: str
    before: datetime
    surroundings: Surroundings = NOTHING_KNOWN


JourneyCommand = NoteSign | GoOn


def decide(command: JourneyCommand, state: Journey) -> Sequence[NewEvent]:
    """The events that follow; a command that comes too late, or twice, gives none."""
    if isinstance(command, GoOn):
        return _go_on(command, state)
    note, idle = command.note, state.open is None and not state.notes
    if note.enters and idle and len(command.course.ways_in) == 1:
        begun = _go_on(
            GoOn(command.course, command.series, note.at + _TICK),
            replace(state, notes=(note,)),
        )
        return begun if begun and isinstance(begun[0].data, JourneyEntered) else ()
    if (idle and not note.enters) or not _counts(command.course, note, state):
        return ()
    return (NewEvent(_noted(command.series, note), note.at),)


def _counts(course: Course, note: Note, state: Journey) -> bool:
    """Whether anything can come of it, as far as that can be told before its turn."""
    if note.enters:
        version = course.admits(note.at)
        again = version is not None and version.definition.reentry != "never"
        return again or (version is not None and state.number == 0)
    if state.open is None or any(each.enters for each in state.notes):
        return True
    if note.ends is not None:
        return note.at > state.open.entered
    definition = course.definition(state.open.version)
    marks = marks_of(definition, state.open.step)
    return note.happened > state.open.entered and not note.signs.isdisjoint(marks)


def _go_on(command: GoOn, state: Journey) -> Sequence[NewEvent]:
    events: list[NewEvent] = []
    while True:
        at, data = upcoming(state, command.series, command.course, command.surroundings)
        if at is None or at >= command.before or data is None:
            break
        events.append(NewEvent(data, at))
        state = evolve(state, data)
    stuck = at is not None and at < command.before
    until = None if stuck else _useless(state, command)
    if until is not None:
        events.append(NewEvent(JourneyPassedOver(series=command.series, until=until), until))
    return events


def _useless(state: Journey, command: GoOn) -> datetime | None:
    """Up to which moment nothing more can come of what was noted.

    A pause that a stop has ended is not over for what was noted in it, and that comes to nothing.
    """
    course = command.course
    passed = [
        note.at
        for note in state.notes
        if (over := course.acts(note.at) or course.stopped(note.at)) is not None
        and over < command.before
    ]
    return max(passed, default=None)


def _noted(series: str, note: Note) -> EventData:
    return JourneyNoted(
        series=series,
        at=note.at,
        happened=note.happened,
        cause=note.cause,
        enters=note.enters,
        signs=tuple(sorted(note.signs)),
        ends=note.ends,
    )


JOURNEY: Decider[JourneyCommand, Journey] = Decider(Journey, decide, evolve)
