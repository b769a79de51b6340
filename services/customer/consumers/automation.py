"""Kafka in: what happens to customers, for the chain's rules.

A record that cannot be read is counted and passed over: the read models of its topic park it.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from services.customer.domain.automating import Cause
from services.customer.handlers.automation import Automating
from shared.envelope import Light
from shared.events.automation import CustomerActiveAgain, CustomerBecameInactive, Occasion
from shared.events.care import StatusChanged
from shared.events.interaction import ReceiptRecorded
from shared.events.segment import SegmentEntered, SegmentExited
from shared.hearing import heard
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


def _decoder(
    struct: type[msgspec.Struct], on: Occasion | None
) -> Callable[[msgspec.Raw], tuple[Any, Occasion | None]]:
    decode = msgspec.json.Decoder(struct).decode
    return lambda raw: (decode(raw), on)


_DECODERS = {kind: _decoder(struct, on) for kind, (struct, on) in READS.items()}


def causes_of(records: Sequence[RawRecord]) -> list[Cause]:
    """What in the records may touch a rule, in their order."""
    return [
        _cause(light, light.subject, data, on)
        for _, light, (data, on) in heard(records, _DECODERS, READER)
        if light.subject is not None
    ]


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
