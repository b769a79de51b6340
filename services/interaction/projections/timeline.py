"""The timeline: one document per entry, which is an event, or a fact that follows its moves.

An entry of a plain event is named by the event and never changes. One of a fact is named by the
fact: whoever has it after the highest count of hops has the entry, in whatever order the partitions
are read; of a fact that is withdrawn a tombstone stays. Personal texts stay sealed in the documents
and are opened when somebody reads them, so that an erase, which destroys keys, wipes them here too,
for good and without a write.
"""

from collections.abc import Callable, Mapping
from copy import copy
from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel

from services.interaction.domain.streams import UNKNOWN_STREAM
from services.interaction.domain.timeline import FACTS, KINDS, kept_of
from shared.events import EVENT_TYPES
from shared.events.contract import EventData, show_moment
from shared.events.moving import FactsMoved, FactWithdrawn
from shared.projection import Document, Event, Projection, Targets

BEYOND = "~"
"""After every place of an entry."""


class TimelineEntry(Document, kw_only=True):
    """An entry. `place` orders the entries of a customer: the time, then the entry's own id.

    `customer` is whose it is, the stream's name while nobody is known; `branch` and `channel` are
    empty where there is none. `said` are the values of its sentence, in the form of the event;
    `sealed` its personal texts, as they travel. `hops` counts how often a fact has changed hands.
    """

    customer: str
    place: str
    type: str
    group: str
    time: datetime
    recorded: datetime
    branch: str
    channel: str
    source: str
    said: dict[str, Any] = msgspec.field(default_factory=dict)
    sealed: dict[str, str] = msgspec.field(default_factory=dict)
    amount: int | None = None
    hops: int = 0


class MovedFact(msgspec.Struct):
    """What is read of a fact that changes hands."""

    fact: str
    type: str
    time: datetime
    recordedtime: datetime
    hops: int
    data: dict[str, Any]
    branch: str | None = None


class Withdrawn(msgspec.Struct):
    """What is read of `interaction.fact_withdrawn`."""

    withdrawn: MovedFact


class Moved(msgspec.Struct):
    """What is read of `interaction.facts_moved`."""

    direction: str
    facts: list[MovedFact]


def fact_entry(fact: str) -> str:
    """The id of a fact's entry."""
    return f"fact|{fact}"


def entry_targets(event: Event) -> Targets:
    """The entry of an event; of facts that come to a customer, each one's."""
    if isinstance(event.data, Moved):
        if event.data.direction != "in":
            return None
        return {
            fact_entry(moved.fact): Event(event.light, moved, event.partition, event.timestamp)
            for moved in event.data.facts
            if moved.type in FACTS
        }
    if isinstance(event.data, Withdrawn):
        gone = event.data.withdrawn
        return fact_entry(gone.fact) if gone.type in FACTS else None
    if not _customer(event):
        return None
    return fact_entry(event.data.fact) if event.type in FACTS else event.light.id


def apply_entry(entry: TimelineEntry | None, event: Event) -> TimelineEntry:
    """The entry after an event: of a fact, where the highest count of hops has brought it."""
    if entry is not None and entry.removed:
        return entry
    if isinstance(event.data, Withdrawn):
        return _tombstone(entry, event)
    moved = event.data
    if not isinstance(moved, MovedFact):
        return entry or _entry(event, _first(event), msgspec.structs.asdict(event.data))
    if entry is not None and entry.hops >= moved.hops:
        return entry
    after = _entry(event, moved, moved.data)
    if entry is not None:
        after.rev, after.versions = entry.rev, entry.versions
    return after


def _first(event: Event) -> MovedFact:
    """What happened, where it happened first; of a plain event, which is never anywhere else."""
    light = event.light
    fact = event.data.fact if event.type in FACTS else ""
    return MovedFact(fact, light.type, light.time, light.recordedtime, 0, {}, light.branch)


def _entry(event: Event, what: MovedFact, data: Mapping[str, Any]) -> TimelineEntry:
    name = fact_entry(what.fact) if what.fact else event.light.id
    kind, customer = KINDS[what.type], _customer(event)
    kept = kept_of(kind, {key: value for key, value in data.items() if value is not None}, customer)
    return TimelineEntry(
        id=name,
        customer=customer,
        place=place_of(what.time, name),
        type=what.type,
        group=kind.group.value,
        time=what.time,
        recorded=what.recordedtime,
        branch=what.branch or "",
        channel=kept.channel,
        source=kept.source,
        said=kept.said,
        sealed=kept.sealed,
        amount=kept.amount,
        hops=what.hops,
    )


def _tombstone(entry: TimelineEntry | None, event: Event) -> TimelineEntry:
    """What is left of a fact that never happened: no page goes as far as its place."""
    gone = event.data.withdrawn
    entry = entry or _entry(event, gone, {})
    entry.removed, entry.place = True, BEYOND
    entry.branch, entry.channel, entry.said, entry.sealed, entry.amount = "", "", {}, {}, None
    return entry


def place_of(time: datetime, name: str) -> str:
    """The key that entries of a customer are ordered by: texts order as the moments do."""
    return f"{show_moment(time)}|{name}"


def _customer(event: Event) -> str:
    """Whose the event is: a customer's, an unknown person's stream, or nobody's (empty)."""
    light = event.light
    return light.subject or (light.stream if light.stream.startswith(UNKNOWN_STREAM) else "")


def _struct(model: type[EventData]) -> type[msgspec.Struct]:
    """A light struct of the fields that the kind keeps something of."""
    kind = KINDS[model.type]
    names = sorted(kind.fields - {"fact"})
    required: list[tuple[str, type]] = [("fact", str)] if kind.fact else []
    fields = [
        (name, list[msgspec.Raw] if name in kind.counted else Any, _default(model, name))
        for name in names
    ]
    return msgspec.defstruct(model.__name__, [*required, *fields], module=__name__)


def _default(model: type[EventData], name: str) -> Any:  # noqa: ANN401 - any value of an event
    """What an absent field is worth, as plain data."""
    if model.model_fields[name].is_required():
        return None
    value = model.model_fields[name].get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
    elif isinstance(value, tuple):
        value = list(value)
    if isinstance(value, dict | list):
        return msgspec.field(default_factory=_copies(value))
    return value


def _copies(value: Any) -> Callable[[], Any]:  # noqa: ANN401 - any value of an event
    return lambda: copy(value)


TIMELINE: Projection[TimelineEntry] = Projection(
    name="timeline_v1",
    topics=(
        "customer.events.v1",
        "deal.events.v1",
        "interaction.events.v1",
        "segment.events.v1",
        "list.events.v1",
        "notification.events.v1",
    ),
    reads={
        **{name: _struct(model) for name, model in EVENT_TYPES.items() if name in KINDS},
        FactsMoved.type: Moved,
        FactWithdrawn.type: Withdrawn,
    },
    document=TimelineEntry,
    target=entry_targets,
    apply=apply_entry,
    indexes=(
        # Read from its end: a descending one of texts loses some that begin alike in SecantusDB.
        (("customer", 1), ("place", 1)),
        (("customer", 1), ("group", 1), ("place", 1)),
    ),
)
