"""Broadcasts: a message for every member at the start, range by range, by one worker at a time.

Members are counted once the reader of customers and memberships has applied everything that was
recorded up to the start. Where the work stands is kept with the lease, so another worker goes on
from there; a range that is done again changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from services.notify.domain import occurrence_of_run
from services.notify.handlers.books.campaigns import CampaignBook, Entry, Start
from services.notify.handlers.campaigns.requests import freeze
from services.notify.handlers.campaigns.scheduling import Occasion, schedule
from services.notify.projections import QueuedMessage
from shared.events.campaign import AnyBroadcast, BroadcastList, CampaignDefined, OnCalendar
from shared.execute import Writer
from shared.readmodel import Lease, Leases
from shared.recurring import again_and_again

POLL_SECONDS = 0.5
LEASE_SECONDS = 30.0
RANGE = 500

log = structlog.stdlib.get_logger(__name__)


class Members(Protocol):
    """Who is in a segment, or on a list."""

    async def members(self, segment: str, after: str, limit: int) -> Sequence[str]:
        """Customers by id, after one of them (`""`: from the first)."""
        ...

    async def listed(self, name: str, after: str, limit: int) -> Sequence[str]:
        """The same of a list."""
        ...


@dataclass(frozen=True, slots=True)
class Audiences:
    """Gathers the audiences of broadcasts.

    `passed` says whether all that was recorded up to a moment (system time) is in `recipients`;
    `scheduled` is told of new messages.
    """

    writer: Writer
    book: CampaignBook
    leases: Leases
    owner: str
    recipients: Members
    passed: Callable[[datetime], bool]
    scheduled: Callable[[Sequence[QueuedMessage]], None]

    async def run(self) -> None:
        """Gather what is to be gathered, until cancelled."""
        await again_and_again(self._all, POLL_SECONDS, partial(log.warning, "audiences wait"))

    async def _all(self) -> None:
        for entry in list((await self.book.fresh()).values()):
            await self.gather(entry)

    async def gather(self, entry: Entry) -> None:
        """Gather the audience of a broadcast, unless it is too early or somebody else does."""
        start, definition = entry.start, entry.campaign.definition
        if not entry.campaign.gathering or start is None or definition is None:
            return
        if not self.passed(start.recorded_at):
            return
        lease = await self.leases.acquire(f"audience-{entry.name}", self.owner, LEASE_SECONDS)
        if lease is None:
            return
        try:
            await self._gather(entry, definition, start, lease)
        finally:
            await self.leases.release(lease)

    async def _gather(
        self, entry: Entry, definition: CampaignDefined, start: Start, lease: Lease
    ) -> None:
        run = entry.campaign.run
        state = await self.leases.state(lease.name)
        after, size = (state["after"], state["size"]) if state.get("run") == run else ("", 0)
        trigger = definition.trigger
        if not isinstance(trigger, AnyBroadcast | OnCalendar):
            return
        # A run of a calendar may begin long after its moment, and any may be gathered long after.
        occurred = entry.campaign.due if isinstance(trigger, OnCalendar) else start.at
        while customers := await self._members(trigger, after):
            occasions = [
                Occasion(
                    entry.name,
                    customer,
                    occurrence_of_run(run),
                    definition.channel,
                    start.why,
                    occurred,
                )
                for customer in customers
            ]
            self.scheduled(await schedule(self.writer, occasions))
            after, size = customers[-1], size + len(customers)
            renewed = await self.leases.renew(lease, LEASE_SECONDS)
            state = {"run": run, "after": after, "size": size}
            if renewed is None or not await self.leases.save(lease, state):
                return
            if not await self._still_gathering(entry):
                return
        await freeze(self.writer, entry.name, run, size, start.why)
        log.info("audience complete", campaign=entry.name, run=run, size=size)

    async def _members(self, trigger: AnyBroadcast | OnCalendar, after: str) -> Sequence[str]:
        if isinstance(trigger, BroadcastList):
            return await self.recipients.listed(trigger.list, after, RANGE)
        return await self.recipients.members(trigger.segment, after, RANGE)

    async def _still_gathering(self, entry: Entry) -> bool:
        now = (await self.book.fresh())[entry.name].campaign
        return now.gathering and now.run == entry.campaign.run
