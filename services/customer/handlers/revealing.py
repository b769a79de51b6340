"""Contacts in the clear, metered and written down: before they are shown, not after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.access import Principal
from shared.clock import Clock
from shared.decider import Refused
from shared.ids import new_id
from shared.reveals import Reveal, Reveals

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Revealing:
    """Lets a caller see the contacts of so many customers in an hour of the system's clock."""

    reveals: Reveals
    clock: Clock
    per_hour: int

    async def allow(self, calling: Principal, customers: Sequence[str], way: str) -> None:
        """Count and note that the caller is about to see them. Raises `Refused` (429)."""
        if not customers:
            return
        now = self.clock.system_now()
        hour = now.replace(minute=0, second=0, microsecond=0)
        key = f"{calling.id}|{hour.isoformat()}"
        if not await self.reveals.take(key, len(customers), self.per_hour, hour + 2 * HOUR):
            seconds = int((hour + HOUR - now).total_seconds()) + 1
            raise Refused(
                "too-many-reveals",
                429,
                "Too many contacts were shown.",
                f"at most {self.per_hour} customers an hour; ask for masked contacts, or wait",
                extra={"retry_after": str(seconds)},
            )
        await self.reveals.note(Reveal(new_id(), now, calling.id, way, tuple(customers)))
