"""From records to what may count for a series: who enters, and what ends or moves a journey.

No I/O. What a merge moves between segments lets nobody enter, though it does end and move journeys:
the customer is in the segment, or is not. A merge itself ends the journeys of who is merged.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from services.notify.consumers.occasions import MERGE, Passed
from services.notify.domain.happening import fits, topic_of_happening
from services.notify.domain.series import SHOWS, Awaited, Became, Note
from services.notify.handlers.books.series import SeriesEntry
from services.notify.handlers.series.noting import Noticed
from services.notify.handlers.series.surroundings import asks_of_messages
from shared import telemetry
from shared.envelope import UNREADABLE, Causation, Light, decode_light, glimpse_type
from shared.events.campaign import OnDate, OnEntering, OnEvent
from shared.events.merging import CustomerErased, CustomerMerged
from shared.events.segment import SegmentEntered, SegmentExited
from shared.events.series import KnownEntry
from shared.records import RawRecord

READER = "series"
"""How series are called in metrics, whose labels are no names from outside."""
CUSTOMERS, SEGMENTS = "customer.events.v1", "segment.events.v1"
MESSAGES = "notification.events.v1"
TOPICS = (CUSTOMERS, SEGMENTS, "interaction.events.v1", MESSAGES)
"""All that a series may listen to."""
_ENDS: Mapping[str, Literal["merged", "erased"]] = {
    CustomerMerged.type: "merged",
    CustomerErased.type: "erased",
}


class Told(msgspec.Struct, gc=False):
    """Of what becomes of a message."""

    campaign: str


_decode_told = msgspec.json.Decoder(Told).decode
_decode_passed = msgspec.json.Decoder(Passed).decode


def topics_of_series(entry: SeriesEntry) -> Sequence[str]:
    """The topics that journeys through a series depend on."""
    definitions = [version.definition for version in entry.course.versions]
    signs = [*entry.course.signs().values(), *(each.entry for each in definitions)]
    asked = {MESSAGES for each in definitions if asks_of_messages(each)}
    return sorted({CUSTOMERS, *asked, *_topics(signs)})


def entry_topics(entries: Iterable[SeriesEntry]) -> Sequence[str]:
    """The topics by which anybody enters any series."""
    versions = (version for entry in entries for version in entry.course.versions)
    return sorted(_topics(version.definition.entry for version in versions))


def entering(
    entries: Iterable[SeriesEntry], records: Sequence[RawRecord]
) -> Iterator[tuple[RawRecord, Noticed]]:
    """Who has an occasion to enter a series."""
    begun = [entry for entry in entries if entry.course.turns]
    types = {
        each
        for entry in begun
        for version in entry.course.versions
        for each in _types(version.definition.entry)
    }

    def look(light: Light) -> Iterator[tuple[str, Note]]:
        for entry in begun:
            version = entry.course.admits(light.recordedtime)
            if version is not None and _is(version.definition.entry, light, merges=False):
                yield entry.name, _note(light, enters=True)

    return _noticed(records, types, look)


def moving(
    entries: Iterable[SeriesEntry], records: Sequence[RawRecord]
) -> Iterator[tuple[RawRecord, Noticed]]:
    """What ends a journey or was waited for, should the customer be on one."""
    begun = [entry for entry in entries if entry.course.turns]
    signs = {entry.name: entry.course.signs() for entry in begun}
    asked = {each for found in signs.values() for sign in found.values() for each in _types(sign)}
    types = asked | _ENDS.keys()

    def look(light: Light) -> Iterator[tuple[str, Note]]:
        for entry in begun:
            if entry.course.begun(light.recordedtime) is None:
                continue
            ends = _ENDS.get(light.type)
            marks = frozenset(
                mark for mark, sign in signs[entry.name].items() if _is(sign, light, merges=True)
            )
            if marks or ends is not None:
                yield entry.name, _note(light, signs=marks, ends=ends)

    return _noticed(records, types, look)


def _noticed(
    records: Sequence[RawRecord],
    types: Iterable[str],
    look: Callable[[Light], Iterator[tuple[str, Note]]],
) -> Iterator[tuple[RawRecord, Noticed]]:
    wanted = frozenset(each.encode() for each in types)
    for record in records:
        value = record.value or b""
        if glimpse_type(value) not in wanted:
            continue
        try:
            light = decode_light(value)
            found = list(look(light))
        except UNREADABLE:
            telemetry.REACTION_PASSED_OVER.labels(READER).inc()
            continue
        if light.subject is not None:
            for series, note in found:
                yield record, Noticed(series, light.subject, note, Causation.of(light))


def _note(
    light: Light,
    *,
    enters: bool = False,
    signs: frozenset[str] = frozenset(),
    ends: Literal["merged", "erased"] | None = None,
) -> Note:
    at = light.recordedtime
    # By whose clock a message arrived is not asked: it was recorded after it was sent.
    happened = at if light.type in SHOWS else min(light.time, at)
    return Note(at, happened, light.id, enters, signs, ends)


def _types(sign: Awaited | KnownEntry) -> Iterable[str]:
    match sign:
        case OnDate():
            return ()
        case OnEvent(event=event):
            return (event,)
        case Became(state=state):
            return [kind for kind, states in SHOWS.items() if state in states]
        case _:
            return ((SegmentEntered if isinstance(sign, OnEntering) else SegmentExited).type,)


def _topics(signs: Iterable[Awaited | KnownEntry]) -> set[str]:
    found = set()
    for sign in signs:
        match sign:
            case OnDate():
                pass
            case OnEvent(event=event):
                found.add(topic_of_happening(event))
            case Became():
                found.add(MESSAGES)
            case _:
                found.add(SEGMENTS)
    return found


def _is(sign: Awaited | KnownEntry, light: Light, *, merges: bool) -> bool:
    if light.type not in _types(sign) or isinstance(sign, OnDate):
        return False
    if isinstance(sign, Became):
        return _decode_told(light.data).campaign == sign.campaign
    if isinstance(sign, OnEvent):
        return fits(msgspec.json.decode(light.data), sign.where)
    passed = _decode_passed(light.data)
    return passed.segment == sign.segment and (merges or passed.cause.kind != MERGE)
