"""Events of segments: definitions, and who entered and left, each with its cause."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, Part, open_list


class SegmentDefined(EventData):
    """A segment has a (new version of its) definition: `rule` is in the public rule language."""

    type: ClassVar[str] = "segment.defined.v1"
    segment: str
    definition: int = Field(ge=1, description="version of the definition, from 1")
    title: str
    rule: dict[str, Any]


class SegmentArchived(EventData):
    """The segment is no longer evaluated; its history stays."""

    type: ClassVar[str] = "segment.archived.v1"
    segment: str


CauseKind = Literal["event", "time", "history", "definition", "merge"]


class Cause(Part):
    """Why a membership changed.

    `event`: the event named; `time`: nothing but time; `history`: lived in an import's past (with
    the fact's event, or none for time); `definition`: the rule is new or changed; `merge`: by the
    event named the customer became another one, nobody, or itself again.
    """

    kind: Annotated[CauseKind, open_list("what kind of thing caused it")]
    event: str | None = Field(default=None, description="id of the causing event")
    import_id: str | None = None


class SegmentEntered(EventData):
    """The customer is in the segment from `time` on."""

    type: ClassVar[str] = "segment.entered.v1"
    segment: str
    definition: int = Field(ge=1)
    cause: Cause


class SegmentExited(EventData):
    """The customer is in the segment no longer from `time` on."""

    type: ClassVar[str] = "segment.exited.v1"
    segment: str
    definition: int = Field(ge=1)
    cause: Cause


EVENTS: tuple[type[EventData], ...] = (
    SegmentDefined,
    SegmentArchived,
    SegmentEntered,
    SegmentExited,
)
