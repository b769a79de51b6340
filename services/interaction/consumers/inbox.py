"""Kafka in: facts that tills write to the inbox, and another look at those that wait."""

import asyncio
from dataclasses import dataclass

import structlog

from services.interaction.consumers.reacting import Subscription
from services.interaction.handlers.inbox import Inbox
from shared.eventstore import StoreUnavailable
from shared.kafka import INBOX
from shared.readmodel import Lease, Leases
from shared.relay.ports import BrokerUnavailable

TOPICS = (INBOX,)
GROUP = "interaction.inbox"
WAITING = "inbox_waiting"
"""The collection of what waits, and the lease of who looks at it."""
LEASE_SECONDS = 10.0
POLL_SECONDS = 0.5

log = structlog.stdlib.get_logger(__name__)


def subscription(inbox: Inbox) -> Subscription:
    """The reaction that takes facts."""
    return Subscription(
        topics=TOPICS,
        group=GROUP,
        react=inbox.take,
        title="inbox",
        description="Facts that tills write, each recorded once.",
    )


@dataclass(frozen=True, slots=True)
class WaitingRoom:
    """Looks at what waits, in one process at a time; two at once would only work twice."""

    inbox: Inbox
    leases: Leases
    owner: str
    poll_seconds: float = POLL_SECONDS

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                lease = await self.leases.acquire(WAITING, self.owner, LEASE_SECONDS)
                if lease is not None:
                    await self._hold(lease)
            except (StoreUnavailable, BrokerUnavailable, TimeoutError) as failure:
                log.warning("what waits is not looked at", reason=type(failure).__name__)
            except Exception:
                log.exception("what waits cannot be looked at")
            await asyncio.sleep(self.poll_seconds)

    async def _hold(self, lease: Lease) -> None:
        try:
            while await self.leases.renew(lease, LEASE_SECONDS) is not None:
                await self.inbox.look_again()
                await asyncio.sleep(self.poll_seconds)
        finally:
            await self.leases.release(lease)
