"""Whose calendar days count: the chain's zone and those of branches, noted in one stream.

They come from elsewhere, a setting and the customer service's branches; noted here they are part of
the numbered rule set, so that all workers agree on them, and what rests on them is asked again when
they change. A branch's zone is noted with the version of the event that says it: read again, older
ones change nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from zoneinfo import available_timezones

from shared.decider import Decider, NewEvent
from shared.events.contract import EventData
from shared.events.segment import ZoneNoted

UTC = "UTC"
"""The chain's zone while nothing else was noted."""
ZONES = "surroundings-zones"
"""The stream."""


@dataclass(frozen=True, slots=True)
class NoteZone:
    """A branch is in a zone since an event of this version; without a branch, the chain is."""

    branch: str | None
    zone: str
    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Zones:
    """What was noted: branch (None: the chain) → zone, and the version that said so."""

    noted: Mapping[str | None, tuple[str, int]] = field(
        default_factory=lambda: MappingProxyType({})
    )


def _decide(command: NoteZone, state: Zones) -> Sequence[NewEvent]:
    """A zone that nobody knows here is not noted: its days could not be counted."""
    nothing = UTC if command.branch is None else ""
    zone, version = state.noted.get(command.branch, (nothing, 0))
    old = command.branch is not None and command.version <= version
    if old or command.zone == zone or command.zone not in available_timezones():
        return ()
    data = ZoneNoted(branch=command.branch, zone=command.zone, version=command.version)
    return (NewEvent(data, command.at),)


def _evolve(state: Zones, data: EventData) -> Zones:
    if isinstance(data, ZoneNoted):
        noted = {**state.noted, data.branch: (data.zone, data.version)}
        return replace(state, noted=MappingProxyType(noted))
    message = f"{data.type} does not belong to the stream of zones"
    raise TypeError(message)


NOTING: Decider[NoteZone, Zones] = Decider(Zones, _decide, _evolve)
