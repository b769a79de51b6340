"""Parked events in a dict."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from shared.readmodel import ParkedEvent


@dataclass(slots=True)
class MemoryParking:
    """The parked events of one projection in a dict."""

    _events: dict[tuple[str, int, int], ParkedEvent] = field(default_factory=dict)

    async def park(self, events: Sequence[ParkedEvent]) -> None:
        """Keep the events; one that is kept already stays as it is."""
        for event in events:
            self._events.setdefault(_place(event), event)

    async def parked(self, partitions: Sequence[int]) -> Sequence[ParkedEvent]:
        """All parked events of the partitions, by topic, partition and offset."""
        return [event for _, event in sorted(self._events.items()) if event.partition in partitions]

    async def request_replay(self, key: bytes | None) -> int:
        """Ask the owner to replay the key's events (all when None); gives how many."""
        asked = [event for event in self._events.values() if key is None or event.key == key]
        self._events.update({_place(event): replace(event, replay=True) for event in asked})
        return len(asked)

    async def keep(self, events: Sequence[ParkedEvent]) -> None:
        """Their replay failed: they stay, until it is asked for again."""
        kept = [each for event in events if (each := self._events.get(_place(event))) is not None]
        self._events.update({_place(event): replace(event, replay=False) for event in kept})

    async def release(self, events: Sequence[ParkedEvent]) -> None:
        """Forget events that were applied."""
        for event in events:
            self._events.pop(_place(event), None)

    async def count(self) -> int:
        """How many are parked."""
        return len(self._events)


def _place(event: ParkedEvent) -> tuple[str, int, int]:
    return event.topic, event.partition, event.offset
