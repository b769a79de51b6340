"""What a reaction hears of in the records it is given: events of the types it knows, in order.

A record that cannot be read is counted and passed over: the read models of its topic park it, and
whoever reacts must not stop at it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec

from shared import telemetry
from shared.envelope import UNREADABLE, Light, decode_light, glimpse_type
from shared.records import RawRecord

DataT = TypeVar("DataT")


def heard(
    records: Iterable[RawRecord],
    decoders: Mapping[bytes, Callable[[msgspec.Raw], DataT]],
    reader: str,
) -> Iterator[tuple[RawRecord, Light, DataT]]:
    """Each record of a type that has a decoder, its event, and what that makes of the data."""
    for record in records:
        value = record.value or b""
        decode = decoders.get(glimpse_type(value))
        if decode is None:
            continue
        try:
            light = decode_light(value)
            data = decode(light.data)
        except UNREADABLE:
            telemetry.REACTION_PASSED_OVER.labels(reader).inc()
            continue
        yield record, light, data
