"""Kafka in: where branches are. A record that cannot be read is counted and passed over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec
from faststream.kafka import KafkaBroker

from services.segment.domain.zones import NoteZone
from services.segment.handlers.zones import note_zones
from shared import telemetry
from shared.envelope import UNREADABLE, Causation, decode_light, glimpse_type
from shared.events.configuration import BranchMoved, BranchOpened
from shared.execute import Writer
from shared.kafka import KafkaUrl, react_until_cancelled, subscribe
from shared.records import RawRecord

TOPICS = ("customer.events.v1",)
GROUP = "segment.zones"
READER = "zones"


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a branch is."""

    zone: str


class Located(msgspec.Struct, frozen=True, gc=False):
    """Of `branch.opened` and `branch.moved`."""

    branch: str
    place: Place


_TYPES: Mapping[bytes, str] = MappingProxyType(
    {kind.type.encode(): kind.type for kind in (BranchOpened, BranchMoved)}
)
_decode = msgspec.json.Decoder(Located).decode


def noted_of(records: Sequence[RawRecord]) -> list[tuple[NoteZone, Causation]]:
    """What the records tell of zones, in their order."""
    found = []
    for record in records:
        value = record.value or b""
        if glimpse_type(value) not in _TYPES:
            continue
        try:
            light = decode_light(value)
            located = _decode(light.data)
        except UNREADABLE:
            telemetry.REACTION_PASSED_OVER.labels(READER).inc()
            continue
        command = NoteZone(located.branch, located.place.zone, light.streamversion, light.time)
        found.append((command, Causation.of(light)))
    return found


@dataclass(frozen=True, slots=True)
class ZoneReaction:
    """Notes where branches are, while the worker lives."""

    broker: KafkaBroker
    kafka: KafkaUrl
    writer: Writer

    async def run(self) -> None:
        """React until cancelled; on the way out let the batch in hand finish."""
        subscribe(
            self.broker,
            *(self.kafka.topic(topic) for topic in TOPICS),
            group=self.kafka.topic(GROUP),
            react=self.react,
            title="zones",
            description="The time zones of branches become part of the rule set.",
        )
        await react_until_cancelled(self.broker)

    async def react(self, records: Sequence[RawRecord]) -> None:
        """Note what the records tell. Raises `StoreUnavailable`."""
        await note_zones(self.writer, noted_of(records))
