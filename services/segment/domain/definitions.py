"""Segment definitions: each a stream `segment-<name>` of versions of one rule.

A definition is in the log only as the language writes it (`to_json`), so that every process reads
the same rule from it, and defining the same again changes nothing.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from services.segment.rules.language.tree import to_json
from services.segment.rules.reading import InvalidRule, parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.decider import Decider, FieldError, NewEvent, Refused, invalid, not_found
from shared.envelope import Envelope
from shared.events.contract import EventData
from shared.events.segment import SegmentArchived, SegmentDefined

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

    `rests_on` is told the version that is there (None: there is none), and may refuse the change.
    """

    name: str
    title: str
    rule: Mapping[str, Any]
    at: datetime
    rests_on: Callable[[int | None], None] = lambda _version: None


@dataclass(frozen=True, slots=True)
class ArchiveSegment:
    """Evaluate the segment no longer."""

    name: str
    at: datetime


Command = DefineSegment | ArchiveSegment


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as its stream has it, at its version; `definition` is 0 before the first."""

    version: int = 0
    definition: int = 0
    title: str = ""
    rule: Mapping[str, Any] = field(default_factory=dict)
    archived: bool = False


def segments(horizon: timedelta) -> Decider[Command, Segment]:
    """The behaviour of definitions, where receipts are kept one by one for `horizon`."""

    def decide(command: Command, state: Segment) -> Sequence[NewEvent]:
        if isinstance(command, DefineSegment):
            return _define(command, state, horizon)
        return _archive(command, state)

    return Decider(Segment, decide, evolve)


def evolve(state: Segment, data: EventData) -> Segment:
    """The state after one more event of the stream."""
    match data:
        case SegmentDefined():
            return Segment(state.version + 1, data.definition, data.title, data.rule)
        case SegmentArchived():
            return replace(state, version=state.version + 1, archived=True)
        case _:
            message = f"{data.type} does not belong to the stream of a segment"
            raise TypeError(message)


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
    try:
        rule = to_json(parse_rule(dict(command.rule), horizon // _MILLISECOND))
    except InvalidRule as error:
        raise _refused(error.errors) from error
    if not state.archived and (title, rule) == (state.title, state.rule):
        return ()
    command.rests_on(state.version or None)
    data = SegmentDefined(
        segment=command.name, definition=state.definition + 1, title=title, rule=rule
    )
    return (NewEvent(data, command.at),)


def _archive(command: ArchiveSegment, state: Segment) -> Sequence[NewEvent]:
    if state.definition == 0:
        raise not_found("segment", command.name)
    if state.archived:
        return ()
    return (NewEvent(SegmentArchived(segment=command.name), command.at),)


def _refused(errors: tuple[FieldError, ...]) -> Refused:
    return Refused("invalid", 422, "The input is not valid.", errors=errors)


def rule_set(definitions: Iterable[Envelope]) -> RuleSet:
    """The rule set that definition events make, in any order and however often each is given.

    `number` counts the different events, so that all who have read the same ones agree on it.
    Other types are passed over. Raises `InvalidRule` for a rule that this version cannot read.
    """
    streams: dict[str, dict[int, Envelope]] = {}
    for envelope in definitions:
        if envelope.type in {SegmentDefined.type, SegmentArchived.type}:
            streams.setdefault(envelope.stream, {})[envelope.streamversion] = envelope
    rules: dict[str, LiveRule] = {}
    for stream in streams.values():
        last = stream[max(stream)]
        if last.type == SegmentDefined.type:
            data = SegmentDefined.model_validate_json(bytes(last.data))
            rules[data.segment] = LiveRule(
                definition=data.definition,
                rule=parse_rule(data.rule),
                defined_at=datetime.fromisoformat(last.recordedtime),
                event=last.id,
                correlation=last.correlationid,
                depth=last.causedepth,
            )
    every = [envelope for stream in streams.values() for envelope in stream.values()]
    if not every:
        return RuleSet(0, {})
    at = max(datetime.fromisoformat(envelope.recordedtime) for envelope in every)
    return RuleSet(len(every), rules, at)
