"""The CloudEvents 1.0 envelope (structured JSON mode) that every event travels in.

An event is encoded once, when it is appended; the store keeps exactly these bytes and the relay
copies them, so what Kafka holds is what was committed. Readers decode only what they need: `Light`
is the hot path's view, with `data` left raw until its type is known to matter.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Self

import msgspec

from shared.events.contract import EventData, show_moment

SPEC_VERSION = "1.0"
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoders raise of bytes that are no event; the last of them where it nests without end."""

Zoned = Annotated[datetime, msgspec.Meta(tz=True)]


class Causation(msgspec.Struct, frozen=True, gc=False):
    """What an event follows from, carried through every service.

    `correlation` is the id of the whole chain of causes, `causation` the id of the direct cause,
    `depth` the number of causes before this one, `history` the id of the import that brought it.
    """

    correlation: str
    causation: str | None = None
    depth: int = 0
    history: str | None = None

    @classmethod
    def of(cls, cause: "Light") -> Self:
        """That of what an event causes; an import brought the event, not what follows from it."""
        return cls(cause.correlationid, cause.id, cause.causedepth + 1)


class Envelope(msgspec.Struct, omit_defaults=True, frozen=True, gc=False, kw_only=True):
    """The full envelope, fields in the order in which they are written."""

    specversion: str
    id: str
    source: str
    type: str
    time: str
    recordedtime: str
    stream: str
    streamversion: int
    correlationid: str
    subject: str | None = None
    branch: str | None = None
    causationid: str | None = None
    causedepth: int = 0
    history: str | None = None
    data: msgspec.Raw


class Light(msgspec.Struct, frozen=True, gc=False):
    """The few fields that routing, guards and folds read."""

    type: str
    stream: str
    streamversion: int
    time: Zoned
    recordedtime: Zoned
    data: msgspec.Raw
    subject: str | None = None
    branch: str | None = None
    history: str | None = None
    correlationid: str = ""
    causedepth: int = 0

    @property
    def id(self) -> str:
        """The CloudEvents id."""
        return event_id(self.stream, self.streamversion)


class Placed(msgspec.Struct, frozen=True):
    """An event with its place: which stream and version, whose, when, and why.

    `sealed_by` names the key of its personal fields, where it is not the subject's.
    """

    data: EventData
    service: str
    stream: str
    version: int
    time: datetime
    recorded: datetime
    causation: Causation
    subject: str | None = None
    branch: str | None = None
    sealed_by: str | None = None

    @property
    def sealer(self) -> str | None:
        """The id of the key of its personal fields."""
        return self.sealed_by or self.subject


_encode = msgspec.json.Encoder().encode
_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_light = msgspec.json.Decoder(Light).decode
_show_recorded = lru_cache(maxsize=16)(show_moment)
"""The events of a batch are recorded at one moment."""


def event_id(stream: str, version: int) -> str:
    """The CloudEvents id: dense versions make it unique within the chain."""
    return f"{stream}@{version}"


def encode(placed: Placed, sealed: dict[str, Any] | None = None) -> str:
    """The event as structured CloudEvents JSON; `sealed` replaces the data's own JSON."""
    raw = placed.data.json_bytes() if sealed is None else _encode(sealed)
    why = placed.causation
    return _encode(
        Envelope(
            specversion=SPEC_VERSION,
            id=event_id(placed.stream, placed.version),
            source=f"regulars/{placed.service}",
            type=placed.data.type,
            time=show_moment(placed.time),
            recordedtime=_show_recorded(placed.recorded),
            stream=placed.stream,
            streamversion=placed.version,
            correlationid=why.correlation,
            subject=placed.subject,
            branch=placed.branch,
            causationid=why.causation,
            causedepth=why.depth,
            history=why.history,
            data=msgspec.Raw(raw),
        )
    ).decode()


def decode(text: str | bytes) -> Envelope:
    """The whole envelope. Raises `msgspec.DecodeError` where it is none."""
    return _decode_envelope(text)


def decode_light(value: bytes) -> Light:
    """The hot path's view. Raises `msgspec.DecodeError` where it is none."""
    return _decode_light(value)


_TYPE_KEY = b'"type":"'


def glimpse_type(value: bytes) -> bytes:
    """What is most likely the event's type, at a glance; only a decoded event is sure of it."""
    start = value.find(_TYPE_KEY) + len(_TYPE_KEY)
    return value[start : value.find(b'"', start)]


def light_decoder(data: type[msgspec.Struct]) -> Callable[[bytes], Light]:
    """Like `decode_light`, in one pass with the data, which is then no raw JSON but this struct."""
    struct = msgspec.defstruct(
        f"Light{data.__name__}", [("data", data)], bases=(Light,), frozen=True, gc=False
    )
    decoder: msgspec.json.Decoder[Light] = msgspec.json.Decoder(struct)
    return decoder.decode
