"""From raw records to events, opened where the projection asks for it; what fails is named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag

from shared import telemetry
from shared.envelope import UNREADABLE, Light, decode_light, glimpse_type, light_decoder
from shared.events import EVENT_TYPES
from shared.events.contract import Path, pii_paths
from shared.keyring import Keyring, Keys, key_ids, unseal
from shared.projection import Event
from shared.records import RawRecord


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that cannot be applied, and why; the reason never quotes it."""

    reason: str


class Entry(msgspec.Struct):
    """A record of a batch with what was made of it.

    `outcome` is the event, the reason why there is none, or None where it is passed over.
    """

    record: RawRecord
    outcome: Event | Poison | None

    @property
    def key(self) -> bytes:
        """The Kafka key; a record without one stands for itself alone."""
        record = self.record
        return record.key or f"{record.topic}/{record.partition}/{record.offset}".encode()


class Decoder:
    """Decodes what one projection reads: in one pass where it can, else step by step.

    Step by step is the rule, at once is the same for less: what it is not sure of is left to the
    steps, which find the reason. What at a glance is of a type that is not read is passed over.
    """

    def __init__(
        self,
        name: str,
        reads: Mapping[str, type[msgspec.Struct]],
        keyring: Keyring | None,
        *,
        whole: bool = False,
    ) -> None:
        """`keyring` is given where personal fields are to be opened.

        `whole`: events that are not read become events without data, instead of nothing.
        """
        self._name = name
        self._whole = whole
        self._structs = reads
        self._decoders = {
            kind: msgspec.json.Decoder(struct).decode for kind, struct in reads.items()
        }
        self._keyring = keyring
        self._sealed: dict[str, tuple[Path, ...]] = {}
        if keyring is not None:
            self._sealed = {
                kind: paths for kind in reads if (paths := pii_paths(EVENT_TYPES[kind]))
            }
        self._passed = frozenset(
            kind.encode() for kind in EVENT_TYPES if kind not in reads and not whole
        )
        self._at_once = {
            kind.encode(): (kind, light_decoder(struct))
            for kind, struct in reads.items()
            if kind not in self._sealed
        }

    async def decode(self, records: Sequence[RawRecord]) -> list[Entry]:
        """An entry per record, in their order. Raises `MissingKey` and `StoreUnavailable`."""
        entries = []
        sealed: list[_Sealed] = []
        for record in records:
            value = record.value or b""
            kind = glimpse_type(value)
            if kind in self._passed:
                entries.append(Entry(record, None))
                continue
            known = self._at_once.get(kind)
            event = None if known is None else _event_at_once(record, value, *known)
            entry = Entry(record, event)
            entries.append(entry)
            if event is None:
                self._decode_in_steps(entry, value, sealed)
        if sealed:
            await self._open(sealed)
        return entries

    def _decode_in_steps(self, entry: Entry, value: bytes, sealed: "list[_Sealed]") -> None:
        """Give the entry its outcome; one to be opened joins the sealed ones instead."""
        try:
            light = decode_light(value)
            decode = self._decoders.get(light.type)
            if decode is None:
                self._pass_over(entry, light)
            elif light.type in self._sealed:
                sealed.append((entry, light, msgspec.json.decode(light.data)))
            else:
                record = entry.record
                data = decode(light.data)
                entry.outcome = Event(light, data, record.partition, record.timestamp)
        except UNREADABLE as failure:
            entry.outcome = Poison(f"not readable: {type(failure).__name__}")

    def _pass_over(self, entry: Entry, light: Light) -> None:
        if light.type not in EVENT_TYPES:
            telemetry.UNKNOWN_TYPES.labels(self._name).inc()
        if self._whole:
            record = entry.record
            entry.outcome = Event(light, None, record.partition, record.timestamp)

    async def _open(self, sealed: "Sequence[_Sealed]") -> None:
        wanted: set[str] = set()
        for _, light, data in sealed:
            wanted |= key_ids(data, self._sealed[light.type])
        keys: Keys = await self._keyring.get(wanted) if self._keyring and wanted else {}
        for entry, light, data in sealed:
            try:
                unseal(data, self._sealed[light.type], keys)
                struct = msgspec.convert(data, self._structs[light.type])
                record = entry.record
                entry.outcome = Event(light, struct, record.partition, record.timestamp)
            except (msgspec.ValidationError, InvalidTag, ValueError) as failure:
                entry.outcome = Poison(f"not readable: {type(failure).__name__}")


_Sealed = tuple[Entry, Light, dict[str, Any]]


def _event_at_once(
    record: RawRecord, value: bytes, kind: str, decode: Callable[[bytes], Light]
) -> Event | None:
    """The event, if it is of the type that it looks like and can be read."""
    try:
        light = decode(value)
    except UNREADABLE:
        return None
    if light.type != kind:
        return None
    return Event(light, light.data, record.partition, record.timestamp)
