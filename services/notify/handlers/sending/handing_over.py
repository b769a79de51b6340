"""Handing messages to their channels, in time, and never after the customer has said no.

What is asked last is asked when a message's turn has come: no more are let through than the
provider takes at once, so nothing waits behind the question.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from services.notify.channels import Channel, NotTaken, Outgoing, Receipt, Unknown
from services.notify.channels.several import provider_of
from services.notify.handlers.deciding.plans import Plan
from services.notify.handlers.recipients.preferences import LastLook
from services.notify.handlers.sending.halting import Halts

OVERTIME_SECONDS = 1.0
"""What a channel may be late by before it is given up: it keeps deadlines by itself."""

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HandingOver:
    """The hand-overs of one batch, so many at a time as each provider takes."""

    channels: Mapping[str, Channel]
    look: LastLook
    halts: Halts
    _gates: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    async def of(self, plan: Plan) -> Receipt:
        """What the channel said; nothing is taken where it is too late, halted, or not wanted."""
        outgoing = plan.outgoing
        if outgoing is None:
            return NotTaken("late")
        async with self._gate(provider_of(self.channels[plan.message.channel], outgoing.address)):
            halted = await self.halts.of(plan.message)
            silent = not halted and await self.look.is_silent(plan.message.customer)
            # A process that was frozen after the check wakes here, and must not go on.
            if not silent or asyncio.get_running_loop().time() >= outgoing.deadline:
                return NotTaken("late")
            return await self._sent(plan.message.channel, outgoing)

    def _gate(self, provider: Channel) -> asyncio.Semaphore:
        gate = self._gates.get(provider.name)
        if gate is None:
            gate = self._gates[provider.name] = asyncio.Semaphore(provider.at_once)
        return gate

    async def _sent(self, channel: str, outgoing: Outgoing) -> Receipt:
        try:
            async with asyncio.timeout_at(outgoing.deadline + OVERTIME_SECONDS):
                return await self.channels[channel].send(outgoing)
        except TimeoutError:
            log.warning("channel late", channel=channel, message=outgoing.id)
        except Exception:
            log.exception("channel failed", channel=channel, message=outgoing.id)
        return Unknown()
