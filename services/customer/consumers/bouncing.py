"""Kafka in: addresses from which messages came back for good are bad contact points.

A record that cannot be read is counted and passed over.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import get_args

import msgspec

from services.customer.handlers.bouncing import Bad, Bouncing
from shared.envelope import Causation, Light
from shared.events.customer import Channel
from shared.events.suppression import AddressSuppressed
from shared.hearing import heard
from shared.records import RawRecord

TOPICS = ("notification.events.v1",)
GROUP = "customer.bouncing"
READER = "bouncing"
WORTHLESS = frozenset({"bounced", "rejected"})
"""Reasons that are of the address; a complaint or a wish is of the person."""
CHANNELS: frozenset[str] = frozenset(get_args(Channel))


class Found(msgspec.Struct, gc=False):
    """Of `address.suppressed`."""

    contact: str
    reason: str
    channel: str | None = None
    customer: str | None = None


_DECODERS: Mapping[bytes, Callable[[msgspec.Raw], Found]] = MappingProxyType(
    {AddressSuppressed.type.encode(): msgspec.json.Decoder(Found).decode}
)


async def react(bouncing: Bouncing, records: Sequence[RawRecord]) -> None:
    """Mark what does not work. Raises `StoreUnavailable`."""
    bad = [
        found
        for _, light, data in heard(records, _DECODERS, READER)
        if (found := _bad(light, data)) is not None
    ]
    if bad:
        await bouncing.take(bad)


def _bad(light: Light, found: Found) -> Bad | None:
    if found.reason not in WORTHLESS or found.customer is None or found.channel not in CHANNELS:
        return None
    channel: Channel = found.channel  # type: ignore[assignment]  # one of the literals
    return Bad(
        light.id, found.customer, channel, found.contact, light.recordedtime, Causation.of(light)
    )
