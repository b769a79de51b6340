"""A stream within one round: what it was, and the commit that grows on it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from shared import telemetry
from shared.decider import Decider, NewEvent, Refused
from shared.envelope import Causation, Placed, encode
from shared.events.contract import EventData, StreamGate
from shared.events.imports import BROADCAST
from shared.eventstore import CommandMark, Commit, Head
from shared.execute.rounds import Window
from shared.execute.sealing import encode_event
from shared.keyring import Keys, nothing

StateT = TypeVar("StateT")

MAX_EVENT_BYTES = 900_000
"""Kafka refuses a record over 1 MiB by default; the envelope and headers need room too.

Events that repeat another have some `room` beside, so that what was recorded can be moved and taken
back for ever; with it they stay below the largest batch of the publisher.
"""
MAX_COMMIT_BYTES = 4_000_000
"""MongoDB refuses a document over 16 MiB; smaller commits also keep relay batches small.

A commit closes once it is over this, and no command gives more: twice this is the most.
"""


class KeysWanted(Exception):  # noqa: N818 - says what is wanted
    """Events hold personal fields, and the keys that seal them were not fetched yet."""


class Origin(Protocol):
    """What a command says of the events that it gives on one stream."""

    @property
    def key(self) -> str:
        """The Kafka key."""
        ...

    @property
    def subject(self) -> str | None:
        """The customer concerned."""
        ...

    @property
    def sealer(self) -> str | None:
        """The id of the key that seals personal fields."""
        ...

    @property
    def causation(self) -> Causation:
        """What they follow from."""
        ...


@dataclass(frozen=True, slots=True)
class Encoder:
    """Turns events into their texts: whose, when they are recorded, and sealed with which keys."""

    service: str
    recorded: datetime
    keys: Keys
    passing: Callable[[str], bool] = nothing

    def texts(
        self, stream: str, version: int, origin: Origin, events: Sequence[NewEvent]
    ) -> tuple[list[str], int]:
        """The texts of the events after `version`, and their bytes in UTF-8.

        Raises `Refused` for too many, and `KeysWanted`: most kinds of events hold nothing
        personal, and need no keys.
        """
        sealer = origin.sealer
        texts: list[str] = []
        size = 0
        for offset, event in enumerate(events, start=1):
            data = event.data
            placed = Placed(
                data=data,
                service=self.service,
                stream=stream,
                version=version + offset,
                time=event.time,
                recorded=self.recorded,
                causation=event.causation or origin.causation,
                subject=origin.subject,
                branch=event.branch,
                sealed_by=sealer,
            )
            if not data.holds_personal():
                text = encode(placed)
            elif sealer is not None and sealer not in self.keys:
                raise KeysWanted
            else:
                text = encode_event(placed, self.keys, self.passing)
            bytes_of_it = len(text) if text.isascii() else len(text.encode())
            if bytes_of_it > MAX_EVENT_BYTES + data.contract_model.room:
                raise _too_large(f"at most {MAX_EVENT_BYTES} bytes of JSON for an event")
            texts.append(text)
            size += bytes_of_it
        if size > MAX_COMMIT_BYTES:
            raise _too_large(f"at most {MAX_COMMIT_BYTES} bytes of JSON for all its events")
        return texts, size


class Growth(msgspec.Struct, Generic[StateT]):
    """A stream that was loaded, and what grows on it.

    `loaded` is its state as it is stored: most streams get one command, whose events nobody asks.
    """

    name: str
    head: Head
    loaded: StateT
    version: int = 0
    marks: list[CommandMark] = []
    events: list[str] = []
    types: list[str] = []
    unfolded: list[EventData] = []
    size: int = 0
    key: str = ""
    redirect: str | None = None

    def __post_init__(self) -> None:
        """It begins where the stored stream ends."""
        self.version = self.head.version
        self.redirect = self.head.redirect

    def add(
        self,
        events: Sequence[NewEvent],
        origin: Origin,
        encoder: Encoder,
    ) -> None:
        """Grow by the events of one command. Raises as `Encoder.texts` does, unchanged then."""
        self.take(events, origin, encoder.texts(self.name, self.version, origin, events))

    def take(
        self,
        events: Sequence[NewEvent],
        origin: Origin,
        encoded: tuple[list[str], int],
    ) -> None:
        """Grow by events whose texts and bytes the encoder gave."""
        texts, size = encoded
        self.version += len(events)
        self.events += texts
        self.size += size
        self.key = origin.key
        for event in events:
            self.unfolded.append(event.data)
            self.types.append(event.data.type)
            if isinstance(event.data, StreamGate):
                self.redirect = event.data.redirect

    def state(self, decider: Decider[Any, StateT]) -> StateT:
        """What it comes to, with all that has grown."""
        if self.unfolded:
            self.loaded = decider.fold(self.unfolded, self.loaded)
            self.unfolded = []
        return self.loaded

    def mark(self, command_id: str, command_hash: str) -> None:
        """Note that the command led up to here."""
        self.marks.append(CommandMark(command_id, command_hash, self.version))

    @property
    def head_after(self) -> Head:
        """Where the stream ends once the commit is in."""
        return Head(self.head.seq + 1, self.version, self.redirect)

    def commit(self, window: Window) -> Commit:
        """What grew, as one commit."""
        return Commit(
            stream=self.name,
            seq=self.head.seq + 1,
            version=self.version,
            key=self.key,
            recorded_at=window.moment,
            commands=tuple(self.marks),
            events=tuple(self.events),
            broadcast=not BROADCAST.isdisjoint(self.types),
            redirect=self.redirect,
            expires=window.deadline,
        )


def count_recorded(streams: Iterable[Growth[Any]]) -> None:
    """Count the events of the streams: they are recorded."""
    total = Counter(kind for stream in streams for kind in stream.types)
    for kind, count in total.items():
        telemetry.EVENTS_APPENDED.labels(kind).inc(count)


def _too_large(limit: str) -> Refused:
    return Refused("too-large", 413, "The command is too large.", limit)
