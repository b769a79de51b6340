"""Kafka in: what happens to customers, for the chain's rules.

A record that cannot be read is counted and passed over: the read models of its topic park it.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from services.customer.domain.automating import Cause
from services.customer.handlers.automation import Automating
from shared import telemetry
from shared.envelope import UNREADABLE, Light, decode_light, glimpse_type
from shared.events.automation import CustomerActiveAgain, CustomerBecameInactive, Occasion
from shared.events.care import StatusChanged
from shared.events.interaction import ReceiptRecorded
from shared.events.segment import SegmentEntered, SegmentExited
from shared.records import RawRecord

TOPICS = ("customer.events.v1", "interaction.events.v1", "segment.events.v1")
GROUP = "customer.automation"
READER = "automation"


class Transition(msgspec.Struct, gc=False):
    """Of `segment.entered` and `segment.exited`."""

    segment: str


class Reached(msgspec.Struct, gc=False):
    """Of `customer.status_changed`."""

    status: str


class Receipt(msgspec.Struct, gc=False):
    """Of `interaction.receipt_recorded`."""

    total: int


class Inactive(msgspec.Struct, gc=False):
    """Of `customer.became_inactive`."""

    rule: str


class Active(msgspec.Struct, gc=False):
    """Of `customer.active_again`."""

    event: str


READS: Mapping[bytes, tuple[type[msgspec.Struct], Occasion | None]] = MappingProxyType(
    {
        SegmentEntered.type.encode(): (Transition, "segment_entered"),
        SegmentExited.type.encode(): (Transition, "segment_left"),
        StatusChanged.type.encode(): (Reached, "status_reached"),
        ReceiptRecorded.type.encode(): (Receipt, "receipt"),
        CustomerBecameInactive.type.encode(): (Inactive, "inactive"),
        CustomerActiveAgain.type.encode(): (Active, None),
    }
)
_DECODERS = {struct: msgspec.json.Decoder(struct).decode for struct, _ in READS.values()}


def causes_of(records: Sequence[RawRecord]) -> list[Cause]:
    """What in the records may touch a rule, in their order."""
    found = []
    for record in records:
        value = record.value or b""
        known = READS.get(glimpse_type(value))
        if known is None:
            continue
        try:
            light = decode_light(value)
            data = _DECODERS[known[0]](light.data)
        except UNREADABLE:
            telemetry.REACTION_PASSED_OVER.labels(READER).inc()
            continue
        if light.subject is not None:
            found.append(_cause(light, light.subject, data, known[1]))
    return found


def _cause(light: Light, customer: str, data: Any, on: Occasion | None) -> Cause:  # noqa: ANN401 - one of the structs above
    name, total = "", 0
    match data:
        case Transition(segment=segment):
            name = segment
        case Reached(status=status):
            name = status
        case Inactive(rule=rule):
            name = rule
        case Receipt(total=total):
            pass
    return Cause(
        event=light.id,
        customer=customer,
        on=on,
        time=light.time,
        recorded=light.recordedtime,
        correlation=light.correlationid,
        depth=light.causedepth,
        name=name,
        total=total,
        branch=light.branch,
        imported=light.history is not None,
    )


async def react(automating: Automating, records: Sequence[RawRecord]) -> None:
    """Carry out what follows from a batch of records."""
    causes = causes_of(records)
    if causes:
        await automating.react(causes)
