"""A waiting place in a dict."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from shared.clock import Clock
from shared.waiting import Waiter


@dataclass(slots=True)
class MemoryWaitingPlace:
    """Implements `WaitingPlace`; `clock` stands for the database's."""

    clock: Clock
    _waiters: dict[str, tuple[Waiter, datetime]] = field(default_factory=dict)
    _due: dict[str, datetime] = field(default_factory=dict)

    async def admit(self, waiters: Sequence[Waiter]) -> None:
        """Keep those that are not there."""
        now = self.clock.system_now()
        for waiter in waiters:
            if waiter.id not in self._waiters:
                self._waiters[waiter.id] = (waiter, now)
                self._due[waiter.id] = now

    async def due(self, limit: int) -> Sequence[Waiter]:
        """Those whose moment has come."""
        now = self.clock.system_now()
        due = sorted((moment, name) for name, moment in self._due.items() if moment <= now)
        found = (self._waiters[name] for _, name in due[:limit])
        return [
            msgspec.structs.replace(waiter, age=(now - since).total_seconds())
            for waiter, since in found
        ]

    async def postpone(self, seconds: Mapping[str, float]) -> None:
        """Move their moments."""
        now = self.clock.system_now()
        self._due.update(
            {
                name: now + timedelta(seconds=each)
                for name, each in seconds.items()
                if name in self._due
            }
        )

    async def release(self, ids: Collection[str]) -> None:
        """Forget them."""
        for name in ids:
            self._waiters.pop(name, None)
            self._due.pop(name, None)

    async def count(self) -> int:
        """How many there are."""
        return len(self._waiters)
