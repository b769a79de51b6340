"""A segment as its stream has it: every version of its definition, which one stands, what waits.

What stands changes with few of the events: `Segment.effect` says what all workers must agree on. A
definition on trial changes nothing before its release, so that counting whom it would move, holding
it and taking it back cost the base nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.segment.rules.language.facts import as_it_is_said_now
from shared.events.contract import EventData
from shared.events.segment import (
    DefinitionHeld,
    DefinitionReleased,
    DefinitionWithdrawn,
    SegmentArchived,
    SegmentDefined,
    WaveHeld,
    WaveReleased,
)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the definition; `by` is the principal who asked for it, where that is known.

    One that `deepens` looks back further than profiles keep facts.
    Number 0 is that of a segment which was never defined.
    """

    number: int = 0
    title: str = ""
    rule: Mapping[str, Any] | None = None
    by: str | None = None
    deepens: bool = False


NOTHING = Version()


@dataclass(frozen=True, slots=True)
class Toll:
    """What a definition on trial would move, counted over `base` customers."""

    entering: int
    leaving: int
    base: int


@dataclass(frozen=True, slots=True)
class Wave:
    """How many of `base` customers were moved by events and time since a moment."""

    moved: int
    base: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment at a version of its stream.

    `stands` is the number of the definition that is evaluated, 0 for none; `former` that of the one
    which stands again when it is taken back, None where that cannot be any more. `trial` is the
    number of the definition that waits for its release, with its `toll` once that was found to be
    too high. `wave` says that the one that stands is held.
    """

    version: int = 0
    versions: tuple[Version, ...] = ()
    stands: int = 0
    former: int | None = None
    trial: int = 0
    toll: Toll | None = None
    wave: Wave | None = None
    archived: bool = False

    @property
    def shown(self) -> Version:
        """The version that people see: on trial, or the one that stands, or the last there was."""
        number = self.trial or self.stands or len(self.versions)
        return self.versions[number - 1] if number else NOTHING

    @property
    def definition(self) -> int:
        """The number of the version that people see."""
        return self.shown.number

    @property
    def title(self) -> str:
        """Its title."""
        return self.shown.title

    @property
    def rule(self) -> Mapping[str, Any]:
        """Its rule, as the language writes it."""
        return self.shown.rule or {}

    @property
    def standing(self) -> Version | None:
        """The version that stands."""
        return self.versions[self.stands - 1] if self.stands else None

    @property
    def effect(self) -> tuple[int, bool]:
        """What is evaluated: the number of the definition, and whether it is held."""
        return self.stands, self.wave is not None

    @property
    def waiting(self) -> Version | None:
        """The version on trial for which profiles have to keep more than they do."""
        trial = self.versions[self.trial - 1] if self.trial else NOTHING
        return trial if trial.deepens else None


def evolve(state: Segment, data: EventData) -> Segment:
    """The state after one more event of the stream."""
    after = replace(state, version=state.version + 1)
    match data:
        case SegmentDefined():
            rule, deepens = as_it_is_said_now(data.rule), data.deepens is True
            version = Version(data.definition, data.title, rule, data.by, deepens)
            after = replace(after, versions=(*after.versions, version))
            if data.trial:
                return replace(after, trial=data.definition, toll=None, archived=False)
            return _stands(after, data.definition)
        case SegmentArchived():
            return replace(
                after, archived=True, stands=0, former=None, trial=0, toll=None, wave=None
            )
        case DefinitionHeld():
            return replace(after, toll=Toll(data.entering, data.leaving, data.base))
        case DefinitionReleased():
            return _stands(after, data.definition)
        case DefinitionWithdrawn():
            if after.trial:
                return replace(after, trial=0, toll=None)
            return replace(after, stands=after.former or 0, former=None, wave=None)
        case WaveHeld():
            return replace(after, wave=Wave(data.moved, data.base, data.since))
        case WaveReleased():
            return replace(after, wave=None)
        case _:
            message = f"{data.type} does not belong to the stream of a segment"
            raise TypeError(message)


def _stands(state: Segment, number: int) -> Segment:
    """From now on this definition is evaluated; with another rule, nothing is held any more."""
    old, new = state.standing, state.versions[number - 1]
    same_rule = old is not None and old.rule == new.rule
    return replace(
        state,
        stands=number,
        former=state.stands,
        trial=0,
        toll=None,
        wave=state.wave if same_rule else None,
        archived=False,
    )
