"""`places`: in which zone each branch is, for the hours of customers who do not say theirs."""

import msgspec

from shared.events.configuration import BranchMoved, BranchOpened
from shared.projection import Document, Event, Projection


class Place(Document, kw_only=True):
    """A branch; `zone` is an IANA name."""

    zone: str


class Address(msgspec.Struct):
    """Where it is."""

    zone: str


class Located(msgspec.Struct):
    """Of `branch.opened` and `branch.moved`."""

    branch: str
    place: Address


def _target(event: Event) -> str | None:
    return str(event.data.branch)


def apply(place: Place | None, event: Event) -> Place:
    """The branch after an event."""
    zone = event.data.place.zone
    if place is None:
        return Place(id=event.data.branch, zone=zone)
    place.zone = zone
    return place


PLACES: Projection[Place] = Projection(
    name="places_v1",
    topics=("customer.events.v1",),
    reads={BranchOpened.type: Located, BranchMoved.type: Located},
    document=Place,
    target=_target,
    apply=apply,
)
