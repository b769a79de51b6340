"""Series: how they stand, and how they stood at each moment.

    draft → running ⇄ paused → stopped → running

A definition may change at any time: whoever entered before goes through the steps of then.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Literal

from services.notify.domain.happening import topic_of_happening
from services.notify.domain.series.became import Became, became
from services.notify.domain.series.definition import ahead, checked
from shared.decider import Decider, NewEvent, Refused, not_found
from shared.events.campaign import OnDate, OnEvent
from shared.events.contract import EventData
from shared.events.series import (
    KnownEntry,
    KnownSign,
    SeriesDefined,
    SeriesPaused,
    SeriesResumed,
    SeriesStarted,
    SeriesStopped,
    WaitEventStep,
    WaitMessageStep,
)

SeriesState = Literal["draft", "running", "paused", "stopped"]
Steering = Literal["start", "pause", "resume", "stop"]
_MARK_BYTES = 8


def series_stream(name: str) -> str:
    """The stream of a series."""
    return f"series-{name}"


@dataclass(frozen=True, slots=True)
class Series:
    """A series as its stream has it; `version` counts its events."""

    version: int = 0
    definition: SeriesDefined | None = None
    state: SeriesState = "draft"

    @property
    def live(self) -> bool:
        """Whether customers may enter: while it runs, and while it is paused."""
        return self.state in ("running", "paused")


@dataclass(frozen=True, slots=True)
class DefineSeries:
    """Give a series its (new) definition; `may_replace` is asked as in `DefineCampaign`."""

    definition: SeriesDefined
    at: datetime
    may_replace: Callable[[int], None] = lambda _version: None


@dataclass(frozen=True, slots=True)
class SteerSeries:
    """Start, pause, resume or stop it."""

    series: str
    steering: Steering
    at: datetime


SeriesCommand = DefineSeries | SteerSeries


def decide(command: SeriesCommand, state: Series) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, DefineSeries):
        definition = checked(command.definition)
        if definition == state.definition:
            return ()
        if state.definition is not None:
            command.may_replace(state.version)
        return (NewEvent(definition, command.at),)
    if state.definition is None:
        kind = "series"
        raise not_found(kind, command.series)
    data = _steered(command, state, state.definition)
    return () if data is None else (NewEvent(data, command.at),)


def _steered(command: SteerSeries, state: Series, definition: SeriesDefined) -> EventData | None:
    name = command.series
    match command.steering:
        case "start":
            if definition.end is not None and command.at >= definition.end:
                raise Refused("too-late", 409, "The series is over.", "its end has come")
            if state.state == "paused":
                raise Refused(
                    "series-paused", 409, "The series is paused.", "resume it, or stop it"
                )
            return None if state.live else SeriesStarted(series=name)
        case "stop":
            return SeriesStopped(series=name) if state.live else None
    if not state.live:
        raise Refused("series-not-running", 409, "The series does not run.", f"is {state.state}")
    if command.steering == "pause":
        return SeriesPaused(series=name) if state.state == "running" else None
    return SeriesResumed(series=name) if state.state == "paused" else None


def evolve(state: Series, data: EventData) -> Series:
    """The series after an event."""
    state = replace(state, version=state.version + 1)
    match data:
        case SeriesDefined():
            return replace(state, definition=data)
        case SeriesStarted() | SeriesResumed():
            return replace(state, state="running")
        case SeriesPaused():
            return replace(state, state="paused")
        case SeriesStopped():
            return replace(state, state="stopped")
        case _:
            message = f"a series has no event {data.type}"
            raise TypeError(message)


SERIES: Decider[SeriesCommand, Series] = Decider(Series, decide, evolve)


Awaited = KnownSign | Became
"""What may end a journey, or let it go on."""


@lru_cache(maxsize=1024)
def mark_of(sign: Awaited) -> str:
    """What tells a sign from all others, in whichever definition it stands."""
    if isinstance(sign, Became):
        text = f"{sign.campaign}|{sign.state}".encode()
    else:
        text = sign.model_dump_json().encode()
    return hashlib.blake2b(text, digest_size=_MARK_BYTES).hexdigest()


def awaited(step: WaitEventStep) -> OnEvent:
    """What a step waits for."""
    return OnEvent(event=step.event, where=step.where)


def signs_of(definition: SeriesDefined, at: str | None = None) -> Sequence[Awaited]:
    """All that may end a journey through it, or let it go on from a step (None: the first)."""
    before = ahead(definition, at)
    steps = [step for step in definition.steps if step.id in before]
    events = [awaited(step) for step in steps if isinstance(step, WaitEventStep)]
    messages = [became(definition, step) for step in steps if isinstance(step, WaitMessageStep)]
    return [*definition.exits, *events, *messages]


@lru_cache(maxsize=4096)
def marks_of(definition: SeriesDefined, at: str | None) -> AbstractSet[str]:
    """The marks of the signs that may still count at a step."""
    return frozenset(map(mark_of, signs_of(definition, at)))


def way_of(entry: KnownEntry) -> str:
    """How one hears of an occasion: what comes by one way comes in its order."""
    if isinstance(entry, OnEvent):
        return topic_of_happening(entry.event)
    return "dates" if isinstance(entry, OnDate) else "segments"


@dataclass(frozen=True, slots=True)
class Turn:
    """Since when a series has stood so."""

    at: datetime
    state: SeriesState


@dataclass(frozen=True, slots=True)
class SeriesVersion:
    """A definition that a series has or had: the version of its stream, and since when."""

    number: int
    at: datetime
    definition: SeriesDefined


@dataclass(frozen=True, slots=True)
class Course:
    """A series at every moment: its definitions and turns, each in the order of their moments."""

    versions: tuple[SeriesVersion, ...] = ()
    turns: tuple[Turn, ...] = ()

    def definition(self, number: int) -> SeriesDefined:
        """The definition that came with a version of the stream."""
        return next(each.definition for each in self.versions if each.number == number)

    def admits(self, at: datetime) -> SeriesVersion | None:
        """The version that whoever has the occasion at a moment enters with; None: nobody does."""
        held = [each for each in self.versions if each.at <= at]
        if not held or self._state(at) not in ("running", "paused"):
            return None
        definition = held[-1].definition
        early = definition.start is not None and at < definition.start
        late = definition.end is not None and at >= definition.end
        return None if early or late else held[-1]

    def begun(self, at: datetime) -> datetime | None:
        """When the run began that a moment lies in; None: it was not live then."""
        starts = [turn for turn in self.turns if turn.at <= at]
        begun = None
        for before, turn in zip([None, *starts], starts, strict=False):
            was_live = before is not None and before.state in ("running", "paused")
            if turn.state == "running" and not was_live:
                begun = turn.at
        return begun if self._state(at) in ("running", "paused") else None

    def acts(self, at: datetime) -> datetime | None:
        """When what is due at a moment is done: after the pause, if in one; None: not yet."""
        if self._state(at) != "paused":
            return at
        after = [turn for turn in self.turns if turn.at > at]
        return after[0].at if after and after[0].state == "running" else None

    def stopped(self, after: datetime) -> datetime | None:
        """When it was first stopped after a moment."""
        return next(
            (turn.at for turn in self.turns if turn.at > after and turn.state == "stopped"), None
        )

    def paused_since(self) -> datetime | None:
        """Since when it is paused; None: it is not."""
        last = self.turns[-1] if self.turns else None
        return last.at if last is not None and last.state == "paused" else None

    def last_stop(self, before: datetime) -> datetime | None:
        """When it was last stopped before a moment."""
        stops = [turn.at for turn in self.turns if turn.at < before and turn.state == "stopped"]
        return stops[-1] if stops else None

    @property
    def ways_in(self) -> AbstractSet[str]:
        """By which ways anybody ever entered."""
        return {way_of(version.definition.entry) for version in self.versions}

    @property
    def by_date(self) -> bool:
        """Whether anybody ever began on a date."""
        return any(isinstance(each.definition.entry, OnDate) for each in self.versions)

    def signs(self) -> Mapping[str, Awaited]:
        """All that may end a journey, or let it go on, in any of its definitions, by mark."""
        found: dict[str, Awaited] = {}
        for version in self.versions:
            found |= {mark_of(sign): sign for sign in signs_of(version.definition)}
        return found

    def _state(self, at: datetime) -> SeriesState:
        held = [turn.state for turn in self.turns if turn.at <= at]
        return held[-1] if held else "draft"
