"""A wish to be forgotten is carried out whatever happens to the process that recorded it.

Steps that were done before are done again, which changes nothing. What cannot be read is not ours.
"""

from collections.abc import Sequence

import msgspec

from services.customer.handlers.erasing import Eraser
from shared import telemetry
from shared.envelope import UNREADABLE, Causation, decode_light
from shared.events.merging import EraseRequested
from shared.records import RawRecord

TOPICS = ("customer.events.v1",)
GROUP = "customer.erasing"
_REQUESTED = EraseRequested.type.encode()


async def react(eraser: Eraser, records: Sequence[RawRecord]) -> None:
    """Carry out each wish in the records. Raises `StoreUnavailable`."""
    for record in records:
        value = record.value or b""
        if _REQUESTED not in value:
            continue
        try:
            light = decode_light(value)
            if light.type != EraseRequested.type:
                continue
            wish = EraseRequested.model_validate(msgspec.json.decode(light.data))
        except (*UNREADABLE, ValueError):
            telemetry.REACTION_PASSED_OVER.labels(GROUP).inc()
            continue
        why = Causation.of(light)
        await eraser.carry_out(wish, light.time, why)
