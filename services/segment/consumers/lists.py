"""Kafka in: who was merged, parted or erased. A record that cannot be read is passed over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec
from faststream.kafka import KafkaBroker

from services.segment.handlers.merging import Heard, ListMerging
from shared import telemetry
from shared.envelope import UNREADABLE, Causation, decode_light, glimpse_type
from shared.events.merging import CustomerErased, CustomerMerged, MergeReverted
from shared.kafka import KafkaUrl, react_until_cancelled, subscribe
from shared.records import RawRecord

TOPICS = ("customer.events.v1",)
GROUP = "segment.lists"
READER = "lists"


class Merged(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.merged`."""

    merge: str
    survivor: str


class Reverted(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.merge_reverted`."""

    merge: str
    other: str
    role: str


class Erased(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.erased`."""

    erase: str


_TYPES: Mapping[bytes, type[Merged | Reverted | Erased]] = MappingProxyType(
    {
        CustomerMerged.type.encode(): Merged,
        MergeReverted.type.encode(): Reverted,
        CustomerErased.type.encode(): Erased,
    }
)
Told = Merged | Reverted | Erased


def heard_of(records: Sequence[RawRecord]) -> list[tuple[Heard, Told]]:
    """What the records tell of customers who become others, in their order."""
    found = []
    for record in records:
        value = record.value or b""
        kind = _TYPES.get(glimpse_type(value) or b"")
        if kind is None:
            continue
        try:
            light = decode_light(value)
            told = msgspec.json.decode(light.data, type=kind)
        except UNREADABLE:
            telemetry.REACTION_PASSED_OVER.labels(READER).inc()
            continue
        if light.subject is not None:
            found.append((Heard(light.id, light.subject, Causation.of(light)), told))
    return found


async def react(merging: ListMerging, records: Sequence[RawRecord]) -> None:
    """Let lists follow the customers. Raises `StoreUnavailable`."""
    for heard, told in heard_of(records):
        match told:
            case Merged():
                await merging.merged(heard, told.merge, told.survivor)
            case Reverted(role="loser"):
                await merging.reverted(heard, told.merge, told.other)
            case Erased():
                await merging.erased(heard, told.erase)


@dataclass(frozen=True, slots=True)
class ListReaction:
    """Lets lists follow customers, while the worker lives."""

    broker: KafkaBroker
    kafka: KafkaUrl
    merging: ListMerging

    async def run(self) -> None:
        """React until cancelled; on the way out let the batch in hand finish."""

        async def follow(records: Sequence[RawRecord]) -> None:
            await react(self.merging, records)

        subscribe(
            self.broker,
            *(self.kafka.topic(topic) for topic in TOPICS),
            group=self.kafka.topic(GROUP),
            react=follow,
            title="lists",
            description="Static lists follow customers who are merged, parted or erased.",
        )
        await react_until_cancelled(self.broker)
