"""What all definitions together mean: the rules that are evaluated, and those that are held."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.segment.domain.segment import Segment, evolve
from services.segment.domain.surrounding import NotedZones
from services.segment.domain.tables import SetTables
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet
from shared.envelope import Envelope
from shared.events import segment as events
from shared.events.contract import EventData

_TYPES: dict[str, type[EventData]] = {
    each.type: each
    for each in (
        events.SegmentDefined,
        events.SegmentArchived,
        events.DefinitionHeld,
        events.DefinitionReleased,
        events.DefinitionWithdrawn,
        events.WaveHeld,
        events.WaveReleased,
    )
}


@dataclass(frozen=True, slots=True)
class _Effect:
    """An event that changed what is evaluated, and the segment after it."""

    event: Envelope
    segment: Segment

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.event.recordedtime)


def rule_set(definitions: Iterable[Envelope]) -> RuleSet:
    """The rule set that definitions, zones and tables make, in any order, each however often.

    `number` counts the different events that change what is evaluated, so that all who have read
    the same ones agree on it, and that what changes nothing asks nobody. Other types are passed
    over. Raises `InvalidRule` for a rule that this version cannot read.
    """
    told = tuple(definitions)
    zones, tables = NotedZones(told), SetTables(told)
    streams: dict[str, dict[int, Envelope]] = {}
    for envelope in told:
        if envelope.type in _TYPES:
            streams.setdefault(envelope.stream, {})[envelope.streamversion] = envelope
    rules: dict[str, LiveRule] = {}
    held: dict[str, LiveRule] = {}
    every = [*zones.moments, *tables.moments]
    for stream, found in streams.items():
        effects = _effects([found[version] for version in sorted(found)])
        every += [effect.at for effect in effects]
        if effects and (live := _live(effects[-1])) is not None:
            of = held if effects[-1].segment.wave is not None else rules
            of[stream.removeprefix("segment-")] = live
    if not every:
        return RuleSet(0, {})
    return RuleSet(
        number=len(every),
        rules=tables.defining_again(zones.defining_again(rules)),
        at=max(every),
        held=tables.defining_again(zones.defining_again(held)),
        moments=tuple(sorted(every)),
        surroundings=replace(zones.surroundings, tables=tables.tables),
    )


def _effects(stream: Sequence[Envelope]) -> Sequence[_Effect]:
    """The events of one stream that change what is evaluated."""
    found: list[_Effect] = []
    segment = Segment()
    for envelope in stream:
        before = segment.effect
        data = _TYPES[envelope.type].model_validate_json(bytes(envelope.data))
        segment = evolve(segment, data)
        if segment.effect != before:
            found.append(_Effect(envelope, segment))
    return found


def _live(last: _Effect) -> LiveRule | None:
    """The rule that stands since the event; None where there is none."""
    standing = last.segment.standing
    if standing is None:
        return None
    return LiveRule(
        definition=standing.number,
        rule=parse_rule(dict(standing.rule or {})),
        defined_at=last.at,
        event=last.event.id,
        correlation=last.event.correlationid,
        depth=last.event.causedepth,
    )
