"""What all definitions together mean: the rules that are evaluated, and those that are held."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.segment.domain.segment import Segment, Version, evolve
from services.segment.domain.surrounding import NotedZones
from services.segment.domain.tables import SetTables
from services.segment.rules.reading import parse_rule
from services.segment.rules.ruleset import LiveRule, RuleSet, waiting_name
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
    stands_anew: bool

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.event.recordedtime)

    def lives(self, version: Version) -> LiveRule:
        return LiveRule(
            definition=version.number,
            rule=parse_rule(dict(version.rule or {})),
            defined_at=self.at,
            event=self.event.id,
            correlation=self.event.correlationid,
            depth=self.event.causedepth,
        )


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
    waiting: dict[str, LiveRule] = {}
    every = [*zones.moments, *tables.moments]
    for stream, found in streams.items():
        effects = _effects([found[version] for version in sorted(found)])
        every += [effect.at for effect in effects]
        name = stream.removeprefix("segment-")
        standing = [effect for effect in effects if effect.stands_anew]
        if standing and (version := standing[-1].segment.standing) is not None:
            of = held if standing[-1].segment.wave is not None else rules
            of[name] = standing[-1].lives(version)
        if effects and (version := effects[-1].segment.waiting) is not None:
            waiting[waiting_name(name, version.number)] = effects[-1].lives(version)
    if not every:
        return RuleSet(0, {})
    return RuleSet(
        number=len(every),
        rules=tables.defining_again(zones.defining_again(rules)),
        at=max(every),
        held=tables.defining_again(zones.defining_again(held)),
        moments=tuple(sorted(every)),
        waiting=waiting,
        surroundings=replace(zones.surroundings, tables=tables.tables),
    )


def _effects(stream: Sequence[Envelope]) -> Sequence[_Effect]:
    """The events of one stream that change what is evaluated, or what profiles have to keep."""
    found: list[_Effect] = []
    segment = Segment()
    for envelope in stream:
        before, segment = segment, evolve(segment, _read(envelope))
        stands_anew = segment.effect != before.effect
        if stands_anew or segment.waiting != before.waiting:
            found.append(_Effect(envelope, segment, stands_anew))
    return found


def _read(envelope: Envelope) -> EventData:
    return _TYPES[envelope.type].model_validate_json(bytes(envelope.data))
