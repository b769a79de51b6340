"""Which customers' messages this dispatcher hands over: buckets in groups, by lease.

A group is worked on only while its lease surely outlasts a hand-over, so whoever takes an expired
lease knows that no hand-over of its predecessor is under way, unless that one was frozen (and then
its attempt is settled by the message's stream). Dispatchers that are alive hold a slot each, and
each takes its share of the groups.
"""

import asyncio
import math
from collections.abc import Awaitable
from dataclasses import dataclass, field
from functools import partial

import structlog

from services.notify.domain import BUCKETS
from shared.readmodel import Lease, Leases
from shared.recurring import again_and_again

GROUPS = 8
SLOTS = 8
LEASE_SECONDS = 15.0
TEND_SECONDS = 2.0
SURE_SECONDS = 11.0
"""A hand-over lasts ten seconds at most; the rest is for the appends around it."""
_SLOT = "dispatcher-"
_GROUP = "dispatch-"
_PER_GROUP = BUCKETS // GROUPS

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class _Held:
    """A lease, and the time of the event loop until which it surely holds."""

    lease: Lease
    until: float


@dataclass(slots=True)
class Buckets:
    """The share of one dispatcher."""

    leases: Leases
    owner: str
    _slot: _Held | None = None
    _groups: dict[int, _Held] = field(default_factory=dict)
    _leaving: set[int] = field(default_factory=set)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def mine(self) -> frozenset[int]:
        """The buckets that may be worked on now."""
        sure = asyncio.get_running_loop().time() + SURE_SECONDS
        return frozenset(
            group * _PER_GROUP + place
            for group, held in self._groups.items()
            if held.until > sure and group not in self._leaving
            for place in range(_PER_GROUP)
        )

    async def run(self) -> None:
        """Tend the leases until cancelled."""
        await again_and_again(self.tend, TEND_SECONDS, partial(log.warning, "leases untended"))

    async def tend(self) -> None:
        """Renew what is held, and move towards the share."""
        async with self._lock:
            await self._keep_slot()
            for group, held in list(self._groups.items()):
                renewed = await self._renewed(held)
                if renewed is None:
                    del self._groups[group]
                else:
                    self._groups[group] = renewed
            share = await self._share()
            self._leaving = set(sorted(self._groups)[share:])
            for group in range(GROUPS):
                if len(self._groups) < share and group not in self._groups:
                    taken = await self._taken(f"{_GROUP}{group}")
                    if taken is not None:
                        self._groups[group] = taken

    async def let_go(self) -> None:
        """Release what is beyond the share; nothing of it may be in hand."""
        if not self._leaving:
            return
        async with self._lock:
            for group in sorted(self._leaving & self._groups.keys()):
                await self.leases.release(self._groups.pop(group).lease)
            self._leaving.clear()

    async def leave(self) -> None:
        """Release everything; nothing may be in hand."""
        async with self._lock:
            held = [*self._groups.values(), *([] if self._slot is None else [self._slot])]
            self._groups.clear()
            self._slot = None
            for each in held:
                await self.leases.release(each.lease)

    async def _share(self) -> int:
        if self._slot is None:
            return 0
        return math.ceil(GROUPS / max(1, len(await self.leases.holders(_SLOT))))

    async def _keep_slot(self) -> None:
        if self._slot is not None:
            self._slot = await self._renewed(self._slot)
        for number in range(SLOTS):
            if self._slot is not None:
                return
            self._slot = await self._taken(f"{_SLOT}{number}")

    async def _renewed(self, held: _Held) -> _Held | None:
        return await _until(self.leases.renew(held.lease, LEASE_SECONDS))

    async def _taken(self, name: str) -> _Held | None:
        return await _until(self.leases.acquire(name, self.owner, LEASE_SECONDS))


async def _until(asked: Awaitable[Lease | None]) -> _Held | None:
    """Count from before the question: the database's clock begins later."""
    until = asyncio.get_running_loop().time() + LEASE_SECONDS
    lease = await asked
    return None if lease is None else _Held(lease, until)
