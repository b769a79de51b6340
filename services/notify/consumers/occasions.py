"""From records to occasions: what of that which happened gives a message. No I/O.

A merge, or its revert, moves people between segments though nothing happened to them: what it
causes is no occasion. Facts that move to another customer are events of types of their own, which
set nothing off.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from services.notify.domain import occurrence_of_entering, occurrence_of_run
from services.notify.domain.happening import fits
from services.notify.handlers.books.campaigns import Entry
from services.notify.handlers.campaigns.scheduling import Occasion
from shared import telemetry
from shared.envelope import UNREADABLE, Causation, Light, decode_light
from shared.events.campaign import (
    Broadcast,
    BroadcastList,
    CampaignDefined,
    OnEntering,
    OnEvent,
    OnLeaving,
    OnStep,
)
from shared.events.lists import ListEntered
from shared.events.segment import SegmentEntered, SegmentExited
from shared.events.series import JourneyStepTaken
from shared.records import RawRecord

READER = "campaign"
"""How campaigns are called in metrics, whose labels are no names from outside."""
MERGE = "merge"


class Because(msgspec.Struct, gc=False):
    """Of the cause of a transition."""

    kind: str


class Passed(msgspec.Struct, gc=False):
    """Of `segment.entered` and `segment.exited`."""

    segment: str
    cause: Because


class Taken(msgspec.Struct, gc=False):
    """Of `journey.step_taken`."""

    campaign: str | None = None
    occurrence: str | None = None


class Listed(msgspec.Struct, gc=False):
    """Of `list.entered`."""

    list: str
    cause: Because


_decode_listed = msgspec.json.Decoder(Listed).decode
_decode_passed = msgspec.json.Decoder(Passed).decode
_decode_taken = msgspec.json.Decoder(Taken).decode
Ask = Callable[[Light], str | None]
"""The occurrence that an event gives; None: none."""


def occasions(entry: Entry, records: Sequence[RawRecord]) -> list[Occasion]:
    """What in the records gives a message; what cannot be read is counted and passed over."""
    definition = entry.campaign.definition
    asked = None if definition is None else _asked(entry, definition)
    if definition is None or asked is None:
        return []
    kind, ask = asked
    return list(_found(definition, records, kind, ask))


def _asked(entry: Entry, definition: CampaignDefined) -> tuple[str, Ask] | None:
    match definition.trigger:
        case OnEntering(segment=segment):
            return SegmentEntered.type, _passing(segment)
        case OnLeaving(segment=segment):
            return SegmentExited.type, _passing(segment)
        case OnEvent() as trigger:
            return trigger.event, _happening(trigger)
        case OnStep():
            return JourneyStepTaken.type, _stepping(definition.campaign)
        case Broadcast(segment=segment, follow=True):
            return SegmentEntered.type, _following(entry, lambda light: _passes(light, segment))
        case BroadcastList(list=name, follow=True):
            return ListEntered.type, _following(entry, lambda light: _comes_on(light, name))
        case _:
            return None


def _passing(segment: str) -> Ask:
    def ask(light: Light) -> str | None:
        if not _passes(light, segment):
            return None
        return occurrence_of_entering(segment, light.streamversion)

    return ask


def _stepping(campaign: str) -> Ask:
    def ask(light: Light) -> str | None:
        taken = _decode_taken(light.data)
        return taken.occurrence if taken.campaign == campaign else None

    return ask


def _following(entry: Entry, comes: Callable[[Light], bool]) -> Ask:
    """Whoever enters after the start of the run gets the message of the run, once."""

    def ask(light: Light) -> str | None:
        late = entry.start is not None and light.time >= entry.start.at
        return occurrence_of_run(entry.campaign.run) if late and comes(light) else None

    return ask


def _passes(light: Light, segment: str) -> bool:
    passed = _decode_passed(light.data)
    return passed.segment == segment and passed.cause.kind != MERGE


def _comes_on(light: Light, name: str) -> bool:
    listed = _decode_listed(light.data)
    return listed.list == name and listed.cause.kind != MERGE


def _happening(trigger: OnEvent) -> Ask:
    def ask(light: Light) -> str | None:
        return light.id if fits(msgspec.json.decode(light.data), trigger.where) else None

    return ask


def _found(
    definition: CampaignDefined, records: Sequence[RawRecord], kind: str, ask: Ask
) -> Iterator[Occasion]:
    mark = kind.encode()
    for record in records:
        value = record.value or b""
        if mark not in value:
            continue
        try:
            light = decode_light(value)
            occurrence = ask(light) if light.type == kind else None
        except UNREADABLE:
            telemetry.REACTION_PASSED_OVER.labels(READER).inc()
            continue
        if occurrence is not None and light.subject is not None and _in_time(definition, light):
            yield Occasion(
                campaign=definition.campaign,
                customer=light.subject,
                occurrence=occurrence,
                channel=definition.channel,
                why=Causation.of(light),
                occurred=light.time,
            )


def _in_time(definition: CampaignDefined, light: Light) -> bool:
    end = definition.end
    return light.time >= definition.start and (end is None or light.time < end)
