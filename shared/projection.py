"""Read models are folds: `apply(document | None, event) -> document`, pure and deterministic.

This module is what a service's `projections.py` is written with; `shared.projector` runs it.
A fold uses no clock, no random numbers and no look-ups, so that live = rebuilt, and the runner
skips every event whose version a document already has, so that repeating or rewinding any suffix
of a topic changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from shared.decider import NewEvent
from shared.envelope import Light


class Document(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One document of a read model.

    `rev` is the number of writes, and guards the next one; `versions` holds per stream the version
    of the last event folded. Documents are never deleted: `removed` leaves a tombstone, so that a
    frozen worker cannot bring one back.
    """

    id: str = msgspec.field(name="_id")
    rev: int = 0
    versions: dict[str, int] = msgspec.field(default_factory=dict)
    removed: bool = False


class SteppedDocument(Document, kw_only=True, omit_defaults=True):
    """A document that also is the only writer of one stream (see `Stepped`).

    `partition` is the Kafka partition of its key, whose owner alone works on it; `stream_seq` and
    `stream_version` are the head of its stream; `due_at` is the earliest moment at which time
    alone changes it; `rules` is the number of the rule set that it was last evaluated with;
    `history` names the imports whose facts it keeps without having lived them. `key` is the Kafka
    key of its stream, whose customer is `subject`; without a key, its id is both.
    """

    partition: int = -1
    stream_seq: int = 0
    stream_version: int = 0
    due_at: datetime | None = None
    rules: int = 0
    history: list[str] = msgspec.field(default_factory=list)
    key: str | None = None
    subject: str | None = None


class Event(msgspec.Struct):
    """An event as a fold sees it: the light envelope, its data decoded, and its partition.

    `timestamp` is when Kafka took the record (milliseconds since the epoch, system time): never
    before the event was recorded, and the same in every reading of the topic.
    """

    light: Light
    data: Any
    partition: int
    timestamp: int = 0

    @property
    def type(self) -> str:
        """The CloudEvents type."""
        return self.light.type

    @property
    def time(self) -> datetime:
        """When it happened."""
        return self.light.time


Targets = str | Mapping[str, Event] | None
"""The documents that an event belongs to: one, each with its part of the event, or none."""

DocumentT = TypeVar("DocumentT", bound=Document)
SteppedT = TypeVar("SteppedT", bound=SteppedDocument)
SeenT_contra = TypeVar("SeenT_contra", bound=SteppedDocument, contravariant=True)


@dataclass(frozen=True, slots=True)
class Projection(Generic[DocumentT]):
    """One read model.

    `name` carries the projection's version (`totals_v2`) and names its collection; `reads` maps
    the event types it folds to light structs of their data; `target` gives the id of the document
    that an event belongs to, or None to pass it over. An event that concerns many documents gives a
    mapping: the id of each, and the event as that document folds it (the same envelope, and of the
    data what is its own); each guards itself by the version, so a batch that was half written is
    folded again by those that lack it. `opens` asks for personal fields in the clear
    (a redacted field is absent); `gapless` says that a document sees whole streams, so that a gap
    in versions is a fault. Events of types that are not in `reads` then only move the version on:
    whoever publishes may add types at any time. For these `data` is None, and `target` must do with
    the envelope; `blank` makes the document of an id whose first event is one of them (without it
    such an event before the first one that is read leaves a gap).
    """

    name: str
    topics: tuple[str, ...]
    reads: Mapping[str, type[msgspec.Struct]]
    document: type[DocumentT]
    target: Callable[[Event], Targets]
    apply: Callable[[DocumentT | None, Event], DocumentT]
    opens: bool = False
    gapless: bool = False
    indexes: tuple[Sequence[tuple[str, int]], ...] = ()
    blank: Callable[[str], DocumentT] | None = None


class Glance(Protocol[SeenT_contra]):
    """A look at a document that lacks the fields in `unseen`, to bring it up to the present rules.

    It gives the fields that get other values by `revise`, where nothing else comes of it, and None
    where more has to be looked at.
    """

    @property
    def unseen(self) -> frozenset[str]:
        """The fields that it does not need."""
        ...

    def __call__(self, document: SeenT_contra, /) -> Mapping[str, Any] | None:
        """The fields that change."""
        ...


@dataclass(frozen=True, slots=True)
class Stepped(Generic[SteppedT]):
    """The second shape: folding also decides, and the events join the document's own stream.

    `step(document | None, event) -> (document, events)`; `wake(document, until)` settles all that
    is due before a moment; `live(document, import_id, until)` lives an import's past;
    `revise(document, at)` evaluates with the present rule set. Document and commit are written in
    one transaction. An event belongs to one document at most.

    `glances` are quicker ways to `revise`, the quickest first.

    `spared` are topics of the projection that nothing asks of now: they are read as ever, and what
    waits for W of every topic does not wait for theirs.
    """

    projection: Projection[SteppedT]
    stream: Callable[[str], str]
    step: Callable[[SteppedT | None, Event], tuple[SteppedT, Sequence[NewEvent]]]
    wake: Callable[[SteppedT, datetime], tuple[SteppedT, Sequence[NewEvent]]]
    live: Callable[[SteppedT, str, datetime], tuple[SteppedT, Sequence[NewEvent]]]
    revise: Callable[[SteppedT, datetime], tuple[SteppedT, Sequence[NewEvent]]]
    barriers: frozenset[str]
    glances: "Sequence[Glance[SteppedT]]" = ()
    spared: frozenset[str] = frozenset()


class SteppedSource(Protocol[SteppedT]):
    """Gives the stepping that stands now; another rule set is another stepping.

    `number` is that of the rule set, and grows with every change.
    """

    @property
    def stepped(self) -> Stepped[SteppedT]:
        """The present stepping."""
        ...

    @property
    def number(self) -> int:
        """The number of its rule set."""
        ...

    async def refresh(self) -> None:
        """Take up a newer rule set, if there is one. Raises `StoreUnavailable`."""
        ...
