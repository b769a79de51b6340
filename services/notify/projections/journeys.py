"""`journeys`: where each customer stands in each series, and when there is something to do.

One document per series and customer, with the last of the customer's journeys through it. It is a
view of the log and may be behind it: whoever acts on it asks the stream again by appending.
"""

from datetime import datetime

import msgspec

from shared.envelope import event_id
from shared.events.series import (
    JourneyEnded,
    JourneyEntered,
    JourneyNoted,
    JourneyPassedOver,
    JourneyStepTaken,
    JourneyWaiting,
)
from shared.projection import Document, Event, Projection

OPEN = "open"


class JourneyDocument(Document, kw_only=True, omit_defaults=True):
    """Where a customer stands.

    `state` is open, or why the last journey ended, or `noted` before the first. While it is open it
    stands at `step` since a moment, until another where it goes on by itself, or has that step
    behind it with an `outcome`. `due_at` is the earliest moment at which something is to be done
    (absent: never), `noted` those of what is noted, `noted_at` the earliest of them. `correlation`,
    `cause` (an event's id) and `depth` are what its next events go on from. Moments are the
    chain's.
    """

    series: str
    customer: str
    state: str
    correlation: str
    cause: str
    depth: int
    number: int = 0
    version: int = 0
    entered: datetime | None = None
    ended: datetime | None = None
    step: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    noted: list[datetime] = msgspec.field(default_factory=list)
    noted_at: datetime | None = None
    due_at: datetime | None = None


class Noted(msgspec.Struct):
    """Of `journey.noted`."""

    series: str
    at: datetime


class Entered(msgspec.Struct):
    """Of `journey.entered`."""

    series: str
    number: int
    version: int
    at: datetime


class Waiting(msgspec.Struct):
    """Of `journey.waiting`."""

    series: str
    step: str
    at: datetime
    until: datetime | None = None


class Taken(msgspec.Struct):
    """Of `journey.step_taken`."""

    series: str
    step: str
    at: datetime
    outcome: str


class Ended(msgspec.Struct):
    """Of `journey.ended`."""

    series: str
    at: datetime
    reason: str


class PassedOver(msgspec.Struct):
    """Of `journey.passed_over`."""

    series: str
    until: datetime


def journey_key(series: str, customer: str) -> str:
    """The id of the document: sorts by series."""
    return f"{series}|{customer}"


def _target(event: Event) -> str | None:
    customer = event.light.subject
    return None if customer is None else journey_key(event.data.series, customer)


def apply(journey: JourneyDocument | None, event: Event) -> JourneyDocument:
    """Where the customer stands after an event."""
    light = event.light
    if journey is None:
        journey = JourneyDocument(
            id=_target(event) or "",
            series=event.data.series,
            customer=light.subject or "",
            state="noted",
            correlation=light.correlationid,
            cause=light.id,
            depth=light.causedepth,
        )
    match event.data:
        case Noted(at=at):
            journey.noted = [*journey.noted, at]
        case PassedOver(until=until):
            journey.noted = _after(journey, until)
        case Entered(number=number, version=version, at=at):
            journey.state, journey.number, journey.version = OPEN, number, version
            journey.entered = journey.since = at
            journey.step = journey.outcome = journey.until = journey.ended = None
            journey.noted = _after(journey, at)
            journey.correlation, journey.depth = light.correlationid, light.causedepth
            journey.cause = event_id(light.stream, light.streamversion)
        case Waiting(step=step, at=at, until=until):
            journey.step, journey.outcome, journey.since = step, None, at
            journey.until, journey.noted = until, _after(journey, at)
        case Taken(step=step, at=at, outcome=outcome):
            journey.step, journey.outcome, journey.since = step, outcome, at
            journey.until, journey.noted = None, _after(journey, at)
        case Ended(at=at, reason=reason):
            journey.state, journey.ended, journey.until = reason, at, None
            journey.noted = _after(journey, at)
    journey.noted_at = min(journey.noted, default=None)
    journey.due_at = _due(journey)
    return journey


def _after(journey: JourneyDocument, at: datetime) -> list[datetime]:
    return [moment for moment in journey.noted if moment > at]


def _due(journey: JourneyDocument) -> datetime | None:
    moments = list(journey.noted)
    own = journey.until or journey.since
    if journey.state == OPEN and own is not None:
        moments.append(own)
    return min(moments, default=None)


JOURNEYS: Projection[JourneyDocument] = Projection(
    name="journeys_v1",
    topics=("notification.events.v1",),
    reads={
        JourneyNoted.type: Noted,
        JourneyEntered.type: Entered,
        JourneyWaiting.type: Waiting,
        JourneyStepTaken.type: Taken,
        JourneyEnded.type: Ended,
        JourneyPassedOver.type: PassedOver,
    },
    document=JourneyDocument,
    target=_target,
    apply=apply,
    indexes=(
        (("series", 1), ("due_at", 1)),
        (("series", 1), ("noted_at", 1)),
        (("series", 1), ("state", 1), ("_id", 1)),
        (("series", 1), ("state", 1), ("entered", 1)),
        (("customer", 1),),
    ),
)
