"""`segments`: which segments there are, to show whom nobody speaks to."""

import msgspec

from shared.events.segment import (
    DefinitionReleased,
    DefinitionWithdrawn,
    SegmentArchived,
    SegmentDefined,
)
from shared.projection import Document, Event, Projection


class KnownSegment(Document, kw_only=True):
    """A segment; `standing` are the numbers of definitions that held or hold, not on trial."""

    title: str = ""
    standing: list[int] = msgspec.field(default_factory=list)
    archived: bool = False

    @property
    def stands(self) -> bool:
        """Whether customers are in it by a definition."""
        return bool(self.standing) and not self.archived


class Defined(msgspec.Struct):
    """Of `segment.defined`."""

    segment: str
    definition: int
    title: str
    trial: bool = False


class Released(msgspec.Struct):
    """Of `segment.definition_released`."""

    segment: str
    definition: int


class TakenBack(msgspec.Struct):
    """Of `segment.definition_withdrawn`."""

    segment: str
    definition: int


class Archived(msgspec.Struct):
    """Of `segment.archived`."""

    segment: str


def _target(event: Event) -> str | None:
    return str(event.data.segment)


def apply(segment: KnownSegment | None, event: Event) -> KnownSegment:
    """The segment after an event."""
    segment = segment or KnownSegment(id=event.data.segment)
    match event.data:
        case Defined(definition=number, title=title, trial=trial):
            segment.title, segment.archived = title, False
            if not trial:
                segment.standing = [*segment.standing, number]
        case Released(definition=number):
            segment.standing = [*segment.standing, number]
        case TakenBack(definition=number):
            segment.standing = [each for each in segment.standing if each != number]
        case Archived():
            segment.archived = True
    return segment


SEGMENTS: Projection[KnownSegment] = Projection(
    name="segments_v1",
    topics=("segment.events.v1",),
    reads={
        SegmentDefined.type: Defined,
        DefinitionReleased.type: Released,
        DefinitionWithdrawn.type: TakenBack,
        SegmentArchived.type: Archived,
    },
    document=KnownSegment,
    target=_target,
    apply=apply,
)
