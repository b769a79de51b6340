"""Who is not known yet: the streams in which facts wait, and by what they can be found."""

import msgspec

from services.interaction.domain.streams import UNKNOWN_STREAM
from shared.events.interaction import FACTS
from shared.events.moving import StreamClosed
from shared.identifiers import claim_id
from shared.projection import Document, Event, Projection

MOST = 200
"""Identifiers of one unknown person: more is nobody, but a fault of a source."""


class Waiting(Document, kw_only=True):
    """The stream of somebody unknown; `ids` are `<kind>|<hash>`; empty once it was closed."""

    ids: list[str]


class Known(msgspec.Struct, gc=False):
    """What is read of an identifier."""

    kind: str
    hash: str


class Identified(msgspec.Struct):
    """What is read of a fact."""

    identified_by: Known | None = None
    also: list[Known] | None = None


class Closed(msgspec.Struct):
    """What is read of `interaction.stream_closed`."""


def _stream(event: Event) -> str | None:
    stream = event.light.stream
    return stream if stream.startswith(UNKNOWN_STREAM) else None


def apply_waiting(waiting: Waiting | None, event: Event) -> Waiting:
    """The stream after an event; what is closed waits no more."""
    waiting = waiting or Waiting(id=event.light.stream, ids=[])
    if isinstance(event.data, Closed):
        waiting.ids, waiting.removed = [], True
    elif not waiting.removed:
        for claim in claims_of(event.data):
            if claim not in waiting.ids and len(waiting.ids) < MOST:
                waiting.ids.append(claim)
    return waiting


def claims_of(data: Identified) -> list[str]:
    """What somebody can be found by, as claims: what is surest first."""
    first = [] if data.identified_by is None else [data.identified_by]
    return [claim_id(each.kind, each.hash) for each in (*first, *(data.also or ()))]


WAITING: Projection[Waiting] = Projection(
    name="waiting_v1",
    topics=("interaction.events.v1",),
    reads={**{kind.type: Identified for kind in FACTS}, StreamClosed.type: Closed},
    document=Waiting,
    target=_stream,
    apply=apply_waiting,
    indexes=((("ids", 1),),),
)
