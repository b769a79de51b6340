"""The life of one message, as its stream has it: newer than any read model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from services.notify.domain import message_stream
from shared.decider import not_found
from shared.envelope import decode
from shared.eventstore import EventStore


class Details(msgspec.Struct):
    """What is told of an event besides its type: never a text, and never an address."""

    campaign: str = ""
    channel: str | None = None
    variant: str | None = None
    reason: str | None = None
    code: str | None = None
    link: str | None = None
    until: datetime | None = None
    occurrence: str | None = None
    segments: int | None = None
    cost: int | None = None


@dataclass(frozen=True, slots=True)
class Lived:
    """An event of a message; `cause` is the id of the event that it follows from."""

    type: str
    time: datetime
    version: int
    cause: str | None
    details: Details


@dataclass(frozen=True, slots=True)
class Life:
    """All events of a message, the first one first, and whose it is."""

    message: str
    customer: str
    events: Sequence[Lived]


async def life_of(store: EventStore, message: str) -> Life:
    """The life of a message. Raises `Refused` (404), `StoreUnavailable`."""
    stream = message_stream(message)
    commits = (await store.read([stream])).get(stream, ())
    events: list[Lived] = []
    customer = ""
    for text in (text for commit in commits for text in commit.events):
        envelope = decode(text)
        customer = envelope.subject or customer
        events.append(
            Lived(
                envelope.type,
                datetime.fromisoformat(envelope.time),
                envelope.streamversion,
                envelope.causationid,
                msgspec.json.decode(envelope.data, type=Details),
            )
        )
    if not events:
        kind: Any = "message"
        raise not_found(kind, message)
    return Life(message, customer, events)
