"""Events of segments: definitions, and who entered and left, each with its cause."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, Moment, Part, open_list


class SegmentDefined(EventData):
    """A segment has a (new version of its) definition: `rule` is in the public rule language.

    One on `trial` takes effect when it is released, and the definition before it stands until then.
    While it waits, profiles keep as much as it needs where it `deepens` them.
    """

    type: ClassVar[str] = "segment.defined.v1"
    segment: str
    definition: int = Field(ge=1, description="version of the definition, from 1")
    title: str
    rule: dict[str, Any]
    trial: bool | None = Field(default=None, description="it waits for its release; absent: no")
    deepens: bool | None = Field(
        default=None, description="it looks back further than profiles keep facts; absent: no"
    )
    by: str | None = Field(default=None, description="id of the principal who asked for it")


class SegmentArchived(EventData):
    """The segment is no longer evaluated; its history stays."""

    type: ClassVar[str] = "segment.archived.v1"
    segment: str
    by: str | None = Field(default=None, description="id of the principal who asked for it")


class DefinitionHeld(EventData):
    """A definition on trial would move too many at once: it waits for a person's yes."""

    type: ClassVar[str] = "segment.definition_held.v1"
    segment: str
    definition: int = Field(ge=1)
    entering: int = Field(ge=0, description="customers who would enter")
    leaving: int = Field(ge=0, description="customers who would leave")
    base: int = Field(ge=0, description="customers who were asked")


class DefinitionReleased(EventData):
    """A definition that was on trial stands from now on."""

    type: ClassVar[str] = "segment.definition_released.v1"
    segment: str
    definition: int = Field(ge=1)
    by: str | None = Field(
        default=None, description="id of the principal who said yes; absent: it moves few enough"
    )


class DefinitionWithdrawn(EventData):
    """A definition is taken back, on trial or not: the one before it stands, if there was one."""

    type: ClassVar[str] = "segment.definition_withdrawn.v1"
    segment: str
    definition: int = Field(ge=1)
    by: str | None = None


class WaveHeld(EventData):
    """Events or time moved too many in or out of the segment: its memberships stand still."""

    type: ClassVar[str] = "segment.wave_held.v1"
    segment: str
    moved: int = Field(ge=0, description="customers who were moved since then")
    base: int = Field(ge=0, description="customers there are")
    since: Moment = Field(description="from when on the moved were counted")


class WaveReleased(EventData):
    """The segment is evaluated again, and every customer is asked once, at this moment."""

    type: ClassVar[str] = "segment.wave_released.v1"
    segment: str
    by: str | None = None


class ZoneNoted(EventData):
    """Whose calendar days count: a branch, or the chain, is in this time zone from now on."""

    type: ClassVar[str] = "segment.zone_noted.v1"
    branch: str | None = Field(default=None, description="absent: the chain")
    zone: str = Field(description="IANA name")
    version: int = Field(ge=0, description="of the branch's event that says so")


class TableDefined(EventData):
    """A table of cut points: which receipts it looks at, and what is a high or a low score there.

    With fixed cut points all three are given; without, they are quantiles of the base, which
    `segment.cut_points_set` tells. They are as there.
    """

    type: ClassVar[str] = "segment.table_defined.v1"
    table: str
    title: str
    look_back: str = Field(description="ISO 8601 duration")
    branch: str | None = Field(default=None, description="absent: the whole chain")
    recency: tuple[int, ...] | None = None
    frequency: tuple[int, ...] | None = None
    monetary: tuple[int, ...] | None = None
    every: str | None = Field(
        default=None, description="ISO 8601 duration; absent: set anew only when somebody asks"
    )
    by: str | None = None


class CutPointsSet(EventData):
    """What divides the base from now on; each list ascends.

    Of `recency` (days since the last receipt) each takes one from score 5 at that age; of
    `frequency` (receipts) and `monetary` (minor units) each adds one to score 1 from there on. Of
    the 99 of each other list each adds one to percentile 0.
    """

    type: ClassVar[str] = "segment.cut_points_set.v1"
    table: str
    base: int = Field(ge=0, description="customers with a receipt within the look-back")
    recency: tuple[int, ...]
    frequency: tuple[int, ...]
    monetary: tuple[int, ...]
    spent: tuple[int, ...]
    receipts: tuple[int, ...]
    average: tuple[int, ...]


CauseKind = Literal["event", "time", "history", "definition", "merge", "reconciled"]


class Cause(Part):
    """Why a membership changed.

    `event`: the event named; `time`: nothing but time; `history`: lived in an import's past (with
    the fact's event, or none for time); `definition`: the rule is new or changed; `merge`: by the
    event named the customer became another one, nobody, or itself again; `reconciled`: what was
    known was brought up to the log.
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
    DefinitionHeld,
    DefinitionReleased,
    DefinitionWithdrawn,
    WaveHeld,
    WaveReleased,
    ZoneNoted,
    TableDefined,
    CutPointsSet,
    SegmentEntered,
    SegmentExited,
)
