"""Leases in a dict."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.clock import Clock
from shared.memory.documents import stored
from shared.readmodel import Lease, RawDocument


@dataclass(slots=True)
class MemoryLeases:
    """Leases in a dict; the system time of `clock` stands for the database's clock."""

    clock: Clock
    _leases: dict[str, tuple[Lease, datetime]] = field(default_factory=dict)
    _states: dict[str, RawDocument] = field(default_factory=dict)

    async def acquire(self, name: str, owner: str, seconds: float) -> Lease | None:
        """Take a free or expired lease, with the next fencing number."""
        now = self.clock.system_now()
        fence = 0
        if name in self._leases:
            held, expires = self._leases[name]
            if expires >= now:
                return None
            fence = held.fence
        return self._hold(Lease(name, owner, fence + 1, now), seconds)

    async def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Renew; None when somebody else holds it now."""
        if not self._newest(lease):
            return None
        return self._hold(replace(lease, at=self.clock.system_now()), seconds)

    async def release(self, lease: Lease) -> None:
        """Let it go, if still held."""
        if self._newest(lease):
            self._hold(lease, (self.clock.system_now() - lease.at).total_seconds() - 0.001)

    async def holders(self, prefix: str) -> Mapping[str, str]:
        """The leases that somebody holds now and whose names begin so, with their owners."""
        now = self.clock.system_now()
        return {
            name: lease.owner
            for name, (lease, expires) in self._leases.items()
            if name.startswith(prefix) and expires >= now
        }

    async def state(self, name: str) -> RawDocument:
        """The state kept with the lease; empty when there is none."""
        state: RawDocument = stored(self._states.get(name, {}))
        return state

    async def save(self, lease: Lease, state: RawDocument) -> bool:
        """Save the state; False, and nothing saved, when the fencing number is not the newest."""
        if self._newest(lease):
            self._states[lease.name] = stored(state)
            return True
        return False

    def _newest(self, lease: Lease) -> bool:
        return lease.name in self._leases and self._leases[lease.name][0].fence == lease.fence

    def _hold(self, lease: Lease, seconds: float) -> Lease:
        self._leases[lease.name] = (lease, lease.at + timedelta(seconds=seconds))
        return lease
