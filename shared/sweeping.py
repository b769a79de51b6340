"""Timers of read models: whoever holds the lease hands over the documents whose `due_at` has come.

What falls due is decided elsewhere, by the stream of each document: a command that says "it is
time" is a no-op there when it is settled. So a document that is handed over twice, too late, or by
two sweepers at once changes nothing, and a sweeper may be killed at any step: the lease is for
economy alone. A document that has been handed over stays due until its read model has read what
followed; meanwhile it is not handed over again, unless that takes too long.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from shared.clock import Clock
from shared.eventstore import StoreUnavailable
from shared.readmodel import Lease, Leases, Questions, RawDocument
from shared.recurring import again_and_again

LEASE_SECONDS = 10.0
POLL_SECONDS = 0.5
AGAIN_SECONDS = 5.0
"""After this a document that is still due is handed over again."""
BATCH = 200
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
"""Ranges are bounded at both ends: SecantusDB scans a collection for an open one."""

Settle = Callable[[Sequence[RawDocument], datetime], Awaitable[None]]
"""Carries out what is due of the documents up to a moment of the chain's clock.

Raises `StoreUnavailable` where it is to be tried again; a refusal of one document is its own.
"""

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class Sweeper:
    """Sweeps one collection that has an index on `due_at`; `owner` names the process."""

    name: str
    documents: Questions
    leases: Leases
    owner: str
    clock: Clock
    settle: Settle
    lease_seconds: float = LEASE_SECONDS
    poll_seconds: float = POLL_SECONDS
    again_seconds: float = AGAIN_SECONDS
    batch: int = BATCH
    _given: dict[str, tuple[datetime, float]] = field(default_factory=dict)
    """Document → the `due_at` that it was handed over with, and when, by the loop's time."""

    async def run(self) -> None:
        """Sweep while the lease is ours, until cancelled."""
        await again_and_again(
            self._turn, self.poll_seconds, partial(log.warning, "timers wait", sweeper=self.name)
        )

    async def _turn(self) -> None:
        lease = await self.leases.acquire(self.name, self.owner, self.lease_seconds)
        if lease is not None:
            await self._hold(lease)

    async def sweep(self, keep: Callable[[], Awaitable[bool]] | None = None) -> int:
        """Hand over all that is due now, the earliest first; gives how many documents.

        `keep` is asked before each batch whether to go on. Raises `StoreUnavailable`.
        """
        now, since, limit, given = self.clock.now(), LONG_AGO, self.batch, 0
        self._forget()
        while keep is None or await keep():
            found = await self.documents.find(
                {"due_at": {"$gte": since, "$lte": now}}, sort=[("due_at", 1)], limit=limit
            )
            fresh = [raw for raw in found if not self._was_given(raw)]
            if fresh:
                await self._hand_over(fresh, now)
                given += len(fresh)
            if len(found) < limit:
                break
            last = found[-1]["due_at"]
            # Those of one moment are not told apart by it: a page must hold all of them.
            limit = 2 * limit if last == since else self.batch
            since = last
        return given

    async def _hold(self, lease: Lease) -> None:
        """Sweep again and again; returns when somebody else has the lease."""
        loop = asyncio.get_running_loop()
        renewed, held = loop.time(), True

        async def keep() -> bool:
            nonlocal renewed, held
            if loop.time() - renewed > self.lease_seconds / 3:
                held = await self.leases.renew(lease, self.lease_seconds) is not None
                renewed = loop.time()
            return held

        try:
            while held:
                await self.sweep(keep)
                await asyncio.sleep(await self._pause())
        finally:
            with suppress(StoreUnavailable):
                await self.leases.release(lease)

    async def _pause(self) -> float:
        """Seconds until the next document is due, but none longer than between two looks."""
        now = self.clock.now()
        until = now + timedelta(seconds=self.poll_seconds)
        found = await self.documents.find(
            {"due_at": {"$gt": now, "$lte": until}}, sort=[("due_at", 1)], limit=1
        )
        if not found:
            return self.poll_seconds
        seconds: float = (found[0]["due_at"] - now).total_seconds()
        return seconds

    async def _hand_over(self, found: Sequence[RawDocument], now: datetime) -> None:
        """Settle them together; where that fails, each by itself, so that none stops the others."""
        try:
            await self.settle(found, now)
        except StoreUnavailable:
            raise
        except Exception:
            if len(found) == 1:
                log.exception("a timer fails", alarm="timer-failed", sweeper=self.name)
            else:
                for raw in found:
                    await self._hand_over([raw], now)
        handed = asyncio.get_running_loop().time()
        self._given.update({raw["_id"]: (raw["due_at"], handed) for raw in found})

    def _was_given(self, raw: RawDocument) -> bool:
        known = self._given.get(raw["_id"])
        return known is not None and known[0] == raw["due_at"]

    def _forget(self) -> None:
        old = asyncio.get_running_loop().time() - self.again_seconds
        self._given = {name: each for name, each in self._given.items() if each[1] > old}
