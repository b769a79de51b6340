"""Segment definitions: each a stream `segment-<name>` of versions of one rule.

A definition is in the log only as the language writes it (`to_json`), so that every process reads
the same rule from it, and defining the same again changes nothing. Where the base is large, a
changed rule is on trial first: it is counted whom it would move, and few enough, or a person's yes,
let it stand. What stands and moves too many may be held the same way. A rule that looks back
further than profiles keep facts is accepted: it `deepens` them.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.segment.domain.brake import Brake
from services.segment.domain.references import require_unnamed
from services.segment.domain.segment import NOTHING, Segment, evolve
from services.segment.rules.instants import instant
from services.segment.rules.language.forms import UNBOUNDED
from services.segment.rules.language.tree import Rule, to_json
from services.segment.rules.reading import InvalidRule, is_beyond, parse_rule
from shared.decider import Decider, NewEvent, Refused, invalid, not_found
from shared.events.segment import (
    DefinitionHeld,
    DefinitionReleased,
    DefinitionWithdrawn,
    SegmentArchived,
    SegmentDefined,
    WaveHeld,
    WaveReleased,
)

LONGEST_NAME = 60
LONGEST_TITLE = 200
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MILLISECOND = timedelta(milliseconds=1)


def segment_stream(name: str) -> str:
    """The stream of a segment's definitions."""
    return f"segment-{name}"


@dataclass(frozen=True, slots=True)
class DefineSegment:
    """Give a segment its (new) title and rule; `rule` is JSON of the rule language.

    `rests_on` is told the version that is there (None: there is none), and may refuse the change;
    so may `refers`, which is told the rule. `by` is the principal who asks. `large` says that there
    are so many customers that a changed rule is on trial first.
    """

    name: str
    title: str
    rule: Mapping[str, Any]
    at: datetime
    rests_on: Callable[[int | None], None] = lambda _version: None
    by: str | None = None
    large: bool = False
    refers: Callable[[Rule], None] = lambda _rule: None


@dataclass(frozen=True, slots=True)
class RestoreDefinition:
    """Define a segment as an earlier version did; the rest is as for `DefineSegment`."""

    name: str
    number: int
    at: datetime
    rests_on: Callable[[int | None], None] = lambda _version: None
    by: str | None = None
    large: bool = False
    refers: Callable[[Rule], None] = lambda _rule: None


@dataclass(frozen=True, slots=True)
class ArchiveSegment:
    """Evaluate the segment no longer; `naming` are the segments whose rules name it."""

    name: str
    at: datetime
    by: str | None = None
    naming: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class SettleTrial:
    """It was counted whom a definition on trial would move, and what may be."""

    name: str
    definition: int
    entering: int
    leaving: int
    base: int
    brake: Brake
    at: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """A person's yes: what waits or is held goes on."""

    name: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Let the former definition stand again: of one on trial, or (`underway`) half evaluated."""

    name: str
    by: str
    at: datetime
    underway: bool


@dataclass(frozen=True, slots=True)
class HoldWave:
    """More customers were moved than may be; seen while the segment was at this version."""

    name: str
    version: int
    moved: int
    base: int
    since: datetime
    at: datetime


Defining = DefineSegment | RestoreDefinition
Command = Defining | ArchiveSegment | SettleTrial | Release | TakeBack | HoldWave


def segments(horizon: timedelta) -> Decider[Command, Segment]:
    """The behaviour of definitions, where receipts are kept one by one for `horizon`."""

    def decide(command: Command, state: Segment) -> Sequence[NewEvent]:
        match command:
            case DefineSegment():
                return _define(command, state, horizon)
            case RestoreDefinition():
                return _restore(command, state, horizon)
            case ArchiveSegment():
                return _archive(command, state)
            case SettleTrial():
                return _settle(command, state)
            case Release():
                return _release(command, state)
            case TakeBack():
                return _take_back(command, state)
            case HoldWave():
                return _hold(command, state)

    return Decider(Segment, decide, evolve)


def _define(command: DefineSegment, state: Segment, horizon: timedelta) -> Sequence[NewEvent]:
    if len(command.name) > LONGEST_NAME or _NAME.fullmatch(command.name) is None:
        raise invalid(
            "name",
            f"is made of small letters, digits and single hyphens, at most {LONGEST_NAME} in all,"
            " such as lapsed-30",
        )
    title = command.title.strip()
    if not 0 < len(title) <= LONGEST_TITLE:
        raise invalid("title", f"has 1 to {LONGEST_TITLE} characters")
    parsed = _asked(command, state)
    rule = to_json(parsed)
    there = state.shown if state.trial or state.stands else NOTHING
    if (title, rule) == (there.title, there.rule):
        return ()
    command.refers(parsed)
    command.rests_on(state.version or None)
    standing = state.standing
    changes = standing is None or standing.rule != rule
    deepens = is_beyond(parsed, horizon // _MILLISECOND, instant(command.at))
    data = SegmentDefined(
        segment=command.name,
        definition=len(state.versions) + 1,
        title=title,
        rule=rule,
        trial=True if command.large and changes else None,
        deepens=True if deepens and changes else None,
        by=command.by,
    )
    return (NewEvent(data, command.at),)


def _restore(command: RestoreDefinition, state: Segment, horizon: timedelta) -> Sequence[NewEvent]:
    _require(state, command.name)
    if not 0 < command.number <= len(state.versions):
        raise invalid("definition", f"is the number of a version, 1 to {len(state.versions)}")
    old = state.versions[command.number - 1]
    again = DefineSegment(
        command.name, old.title, old.rule or {}, command.at,
        command.rests_on, command.by, command.large, command.refers,
    )  # fmt: skip
    return _define(again, state, horizon)


def _archive(command: ArchiveSegment, state: Segment) -> Sequence[NewEvent]:
    _require(state, command.name)
    if state.archived:
        return ()
    require_unnamed(command.naming)
    return (NewEvent(SegmentArchived(segment=command.name, by=command.by), command.at),)


def _settle(command: SettleTrial, state: Segment) -> Sequence[NewEvent]:
    """One that was released, taken back or defined otherwise meanwhile is nobody's business."""
    if state.trial != command.definition or state.toll is not None:
        return ()
    data: DefinitionHeld | DefinitionReleased
    if command.brake.too_many(command.entering + command.leaving, command.base):
        data = DefinitionHeld(
            segment=command.name, definition=command.definition,
            entering=command.entering, leaving=command.leaving, base=command.base,
        )  # fmt: skip
    else:
        data = DefinitionReleased(segment=command.name, definition=command.definition)
    return (NewEvent(data, command.at),)


def _release(command: Release, state: Segment) -> Sequence[NewEvent]:
    """A definition that takes the place of one that is held ends that, so one yes is enough."""
    _require(state, command.name)
    data: DefinitionReleased | WaveReleased
    if state.trial:
        data = DefinitionReleased(segment=command.name, definition=state.trial, by=command.by)
    elif state.wave is not None:
        data = WaveReleased(segment=command.name, by=command.by)
    else:
        raise _conflict("nothing-held", "Nothing of this segment waits for a yes.")
    return (NewEvent(data, command.at),)


def _take_back(command: TakeBack, state: Segment) -> Sequence[NewEvent]:
    _require(state, command.name)
    number = state.trial or (state.stands if command.underway and state.former is not None else 0)
    if not number:
        raise _conflict("nothing-to-stop", "No evaluation of this segment is under way.")
    data = DefinitionWithdrawn(segment=command.name, definition=number, by=command.by)
    return (NewEvent(data, command.at),)


def _hold(command: HoldWave, state: Segment) -> Sequence[NewEvent]:
    """What was counted of another version is no reason: it was released, or means another rule."""
    if state.version != command.version or not state.stands or state.wave is not None:
        return ()
    data = WaveHeld(
        segment=command.name, moved=command.moved, base=command.base, since=command.since
    )
    return (NewEvent(data, command.at),)


def _require(state: Segment, name: str) -> None:
    if not state.versions:
        raise not_found("segment", name)


def _conflict(kind: str, title: str) -> Refused:
    return Refused(kind, 409, title)


def _asked(command: DefineSegment, state: Segment) -> Rule:
    """The rule, which may look back further than profiles keep facts: they are brought back."""
    standing = state.standing
    if standing is not None and standing.rule == command.rule:
        return parse_rule(dict(command.rule))
    return _parsed(command.rule, UNBOUNDED, command.at)


def rule_of(raw: Mapping[str, Any], horizon: timedelta, now: datetime) -> Rule:
    """The rule that somebody has sent to be asked at once, of what profiles keep now.

    Raises `Refused` that names what is wrong in it.
    """
    return _parsed(raw, horizon // _MILLISECOND, now)


def _parsed(raw: Mapping[str, Any], horizon: int, now: datetime) -> Rule:
    try:
        return parse_rule(dict(raw), horizon, now=instant(now))
    except InvalidRule as error:
        raise Refused("invalid", 422, "The input is not valid.", errors=error.errors) from error
