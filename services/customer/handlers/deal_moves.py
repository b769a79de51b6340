"""Deals follow their merged customers, and come back when a merge is undone.

What is to be moved stands in a read model (`projections/deal_owners.py`) until it has been moved,
so whoever is killed on the way leaves the rest to the next; a stream ends only once, so two who do
the same do it once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from services.customer.domain.deal import Deal, deal_stream
from services.customer.domain.deal_moving import Move, decide, past_of
from services.customer.domain.dealing import DEAL, OUTDATED
from services.customer.handlers.deals import ATTEMPTS, deal_log
from services.customer.projections.deal_owners import DealOwner, Wanted
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.deal import Origin
from shared.eventstore import StoreUnavailable
from shared.execute import Joint, JointDecider, Writer
from shared.recurring import again_and_again

POLL_SECONDS = 0.5
RETRY_SECONDS = 1.0

MOVE: JointDecider[Move, Deal] = JointDecider(of=DEAL, decide=decide)

log = structlog.stdlib.get_logger(__name__)


class Pending(Protocol):
    """What is to be moved."""

    async def pending(self, limit: int = ...) -> Sequence[DealOwner]:
        """Customers whose deals are to go on elsewhere."""
        ...


@dataclass(slots=True)
class DealMoves:
    """Carries out what is to be moved, until nothing is left."""

    writer: Writer
    owners: Pending

    async def run(self) -> None:
        """Move until cancelled."""
        await again_and_again(
            self.step,
            POLL_SECONDS,
            partial(log.warning, "deals wait to be moved"),
            longer=RETRY_SECONDS,
        )

    async def step(self) -> int:
        """Move what is known to be due; gives how many. Raises `StoreUnavailable`."""
        moved = 0
        for owner in await self.owners.pending():
            for wanted in owner.wanted():
                try:
                    await self._move(wanted)
                except Refused as refusal:
                    # Whoever gets it was erased, which is not read yet: nobody is left to get it.
                    log.warning("deal not moved", deal=wanted.deal, refusal=refusal.type)
                else:
                    moved += 1
        return moved

    async def _move(self, wanted: Wanted) -> None:
        """End the stream, and begin the next. Raises `Refused`, `StoreUnavailable`."""
        for _ in range(ATTEMPTS):
            found = await deal_log(self.writer, wanted.stream)
            if found is None or found.state.moved is not None:
                return
            target = deal_stream(wanted.deal, found.state.generation + 1)
            move = Move(
                source=wanted.stream,
                target=target,
                customer=wanted.customer,
                merge=wanted.merge,
                origins=tuple(
                    Origin(merge=each.merge, customer=each.customer) for each in wanted.origins
                ),
                past=past_of(found.events),
                at=self.writer.clock.now(),
            )
            joint: Joint[Move] = Joint(
                # A stream ends only once, whoever ends it.
                id=f"move|{wanted.stream}",
                hash="",
                streams={wanted.stream: found.key, target: wanted.customer},
                body=move,
                causation=Causation(
                    wanted.cause.correlation, wanted.cause.event, wanted.cause.depth
                ),
            )
            try:
                await self.writer.together(MOVE, joint, sealed=True)
            except Refused as refusal:
                if refusal.type != OUTDATED:
                    raise
            else:
                return
        message = "the deal changes all the time"
        raise StoreUnavailable(message)
