"""`suppressions`: the addresses that get nothing, by their hashes, the latest first.

A view of the list for people; what is sent asks the streams themselves.
"""

from datetime import datetime

import msgspec

from services.notify.domain.suppression import ADDRESS_PREFIX
from shared.events.suppression import AddressReleased, AddressSuppressed
from shared.projection import Document, Event, Projection

_MILLISECOND_DIGITS = 15


class Suppression(Document, kw_only=True):
    """An address; `turn` is `<milliseconds>|<hash>` of when it was put on the list, else empty."""

    turn: str = ""
    reason: str | None = None
    since: datetime | None = None
    channel: str | None = None
    message: str | None = None
    by: str | None = None


class Suppressed(msgspec.Struct):
    """Of `address.suppressed`."""

    contact: str
    reason: str
    channel: str | None = None
    message: str | None = None
    by: str | None = None


class Released(msgspec.Struct):
    """Of `address.released`."""

    contact: str


def _target(event: Event) -> str | None:
    stream = event.light.stream
    return stream.removeprefix(ADDRESS_PREFIX) if stream.startswith(ADDRESS_PREFIX) else None


def apply(address: Suppression | None, event: Event) -> Suppression:
    """The address after an event."""
    data = event.data
    if address is None:
        address = Suppression(id=data.contact)
    match data:
        case Suppressed():
            moment = int(event.time.timestamp() * 1000)
            address.turn = f"{moment:0{_MILLISECOND_DIGITS}d}|{data.contact}"
            address.reason, address.since, address.by = data.reason, event.time, data.by
            address.channel, address.message = data.channel, data.message
        case Released():
            address.turn, address.reason, address.since = "", None, None
            address.channel = address.message = address.by = None
    return address


SUPPRESSIONS: Projection[Suppression] = Projection(
    name="suppressions_v1",
    topics=("notification.events.v1",),
    reads={AddressSuppressed.type: Suppressed, AddressReleased.type: Released},
    document=Suppression,
    target=_target,
    apply=apply,
    indexes=((("turn", 1),), (("reason", 1), ("turn", 1))),
)
