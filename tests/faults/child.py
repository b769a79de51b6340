"""Children that freeze at a step, and end once they have shown what they do when they wake.

Like those of `tests.faults.workers`, they are functions for a `Nursery`: a fresh interpreter needs
seconds to import the product, and a fork of one that has done so needs none. They end by
themselves, so that a test knows that a stale step is over, and need not guess how long to wait.
"""

import asyncio
import sys
from collections.abc import Mapping
from typing import Literal

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.mongo import connect
from shared.relay.relay import LeaseLost
from tests.faults.workers import (
    SERVICE,
    Place,
    Plan,
    Trap,
    TrappedProjector,
    plain_of,
    relay_of,
    stepped_of,
)

FENCED = 3
"""Exit code of a relay that found its lease in other hands."""
STAND_BY_SECONDS = 0.1


def run_relay_until_fenced(place: Place, owner: str, plan: Plan, batch_size: int) -> None:
    """Relay until the lease is lost, and exit with `FENCED`; never lead a second time."""

    async def relay() -> None:
        leading = relay_of(place, connect(place.mongo_url), owner, Trap(plan), batch_size)
        try:
            while True:
                await leading.stand_by_and_lead()
                await asyncio.sleep(STAND_BY_SECONDS)
        except LeaseLost:
            sys.exit(FENCED)
        finally:
            await leading.publisher.close()

    uvloop.run(relay())


class _EndsOnceWoken(TrappedProjector):
    """Stops after the commit that belongs to the batch in which it was frozen."""

    async def _commit(
        self, consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]
    ) -> None:
        await super()._commit(consumer, offsets)
        if self.trap.plan is not None and self.trap.count >= self.trap.plan.count:
            self.stop()


def run_worker_until_woken(
    place: Place, kind: Literal["plain", "stepped"], plan: Plan, max_records: int
) -> None:
    """Keep a read model until frozen; once awake, do the rest of that batch and exit with 0."""

    async def work() -> None:
        trap = Trap(plan)
        client = connect(place.mongo_url)
        make = plain_of if kind == "plain" else stepped_of
        folder = make(place, client, trap)
        projector = _EndsOnceWoken(folder, place.kafka, SERVICE, max_records=max_records)
        projector.trap = trap
        await projector.run()

    uvloop.run(work())
