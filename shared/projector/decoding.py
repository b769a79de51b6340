"""From raw records to events, opened where the projection asks for it; what fails is named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag

from shared import telemetry
from shared.envelope import Light, decode_light
from shared.events import EVENT_TYPES
from shared.events.contract import Path, pii_paths
from shared.keyring import Keyring, Keys, key_ids, unseal
from shared.projection import Event
from shared.records import RawRecord


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that cannot be applied, and why; the reason never quotes it."""

    reason: str


@dataclass(slots=True)
class Entry:
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
    """Decodes what one projection reads."""

    def __init__(
        self, name: str, reads: Mapping[str, type[msgspec.Struct]], keyring: Keyring | None
    ) -> None:
        """`keyring` is given where personal fields are to be opened."""
        self._name = name
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

    async def decode(self, records: Sequence[RawRecord]) -> list[Entry]:
        """An entry per record, in their order. Raises `MissingKey` and `StoreUnavailable`."""
        entries = []
        sealed: list[tuple[Entry, Light, dict[str, Any]]] = []
        wanted: set[str] = set()
        for record in records:
            entry = Entry(record, None)
            entries.append(entry)
            try:
                light = decode_light(record.value or b"")
                decode = self._decoders.get(light.type)
                if decode is None:
                    self._pass_over(light)
                elif light.type in self._sealed:
                    data = msgspec.json.decode(light.data)
                    wanted |= key_ids(data, self._sealed[light.type])
                    sealed.append((entry, light, data))
                else:
                    entry.outcome = Event(
                        light, decode(light.data), record.partition, record.timestamp
                    )
            except (msgspec.MsgspecError, UnicodeDecodeError) as failure:
                entry.outcome = Poison(f"not readable: {type(failure).__name__}")
        if sealed:
            await self._open(sealed, wanted)
        return entries

    def _pass_over(self, light: Light) -> None:
        if light.type not in EVENT_TYPES:
            telemetry.UNKNOWN_TYPES.labels(self._name).inc()

    async def _open(
        self, sealed: Sequence[tuple[Entry, Light, dict[str, Any]]], wanted: set[str]
    ) -> None:
        keys: Keys = await self._keyring.get(wanted) if self._keyring and wanted else {}
        for entry, light, data in sealed:
            try:
                unseal(data, self._sealed[light.type], keys)
                struct = msgspec.convert(data, self._structs[light.type])
                record = entry.record
                entry.outcome = Event(light, struct, record.partition, record.timestamp)
            except (msgspec.ValidationError, InvalidTag, ValueError) as failure:
                entry.outcome = Poison(f"not readable: {type(failure).__name__}")
