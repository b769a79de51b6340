"""The broker and the database are killed under load; relay and projector carry on by themselves.

The servers are this test's own, in a home of their own, with a supervisor that starts them again.
"""

import asyncio
import itertools
import os
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from services.interaction.domain.facts import FACTS, RecordFact
from services.interaction.domain.receipts import record_receipt
from services.interaction.domain.streams import stream_of
from services.interaction.projections.totals import TOTALS, CustomerTotals
from shared.envelope import Causation
from shared.events.interaction import ReceiptLine
from shared.eventstore import StoreUnavailable, body_hash
from shared.execute import Command, Done, Outcome, Writer
from shared.moments import WIDTH
from shared.process import Kernel
from shared.settings import Settings
from shared.testing import DAY, LocalChain, Servers, eventually, read
from shared.testing.servers import EmbeddedProcess, embedded_stack
from tests.faults.invariants import (
    check_commits,
    check_topics,
    commits_in,
    documents_in,
    topic_log,
)

pytestmark = pytest.mark.faults

SERVICE = "interaction"
CUSTOMERS = 30
BATCH = 8
PAUSE_SECONDS = 0.1
FLOW = 80
"""Receipts that have to come through before the next blow, and after it: ten batches."""
LONGEST_SECONDS = 150.0
"""In all; it takes a third of it on a machine with nothing else to do."""


@pytest.fixture
def stack() -> Iterator[EmbeddedProcess]:
    """Servers that may be killed."""
    with embedded_stack() as process:
        yield process


def receipt(number: int) -> Command[RecordFact]:
    """A receipt worth its number, of one of the customers."""
    customer = f"customer{random.Random(number).randrange(CUSTOMERS)}"
    body = record_receipt(
        source="pos",
        source_id=str(number),
        branch=f"b{number % 3}",
        time=DAY + timedelta(minutes=number),
        now=DAY + timedelta(days=30),
        lines=(ReceiptLine(product="p", quantity=Decimal(1), amount=number),),
    )
    return Command(
        id=body.id,
        hash=body_hash(number),
        stream=stream_of(customer),
        key=customer,
        body=body,
        causation=Causation(correlation=body.id),
        subject=customer,
    )


@dataclass(slots=True)
class Till:
    """Sends receipts without end, each batch until it is answered.

    `acknowledged` is what the answers said: command id → stream and version.
    """

    writer: Writer
    acknowledged: dict[str, tuple[str, int]] = field(default_factory=dict)
    closing: bool = False

    async def run(self) -> None:
        """Send until closing; what was begun is sent to its end."""
        for first in itertools.count(1, BATCH):
            if self.closing:
                return
            batch = [receipt(number) for number in range(first, first + BATCH)]
            for command, outcome in zip(batch, await self._answered(batch), strict=True):
                assert isinstance(outcome, Done)
                self.acknowledged[command.id] = (outcome.stream, outcome.version)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _answered(self, batch: Sequence[Command[RecordFact]]) -> Sequence[Outcome]:
        while True:
            try:
                return await self.writer.many(FACTS, batch, stateless=True)
            except (StoreUnavailable, TimeoutError):
                await asyncio.sleep(PAUSE_SECONDS)


@dataclass(slots=True)
class Shop:
    """A till, a relay and a projector that run as tasks of the test."""

    kernel: Kernel
    till: Till
    tasks: "Sequence[asyncio.Task[None]]"

    async def folded(self) -> int:
        """The receipts in the read model."""
        found = await documents_in(self.kernel.database, TOTALS.name)
        totals = [msgspec.convert(raw, CustomerTotals) for raw in found.values()]
        return sum(len(at.bought) // WIDTH for each in totals for at in each.branches)

    async def flows(self) -> None:
        """Wait until what is sent from now on has come through to the read model."""
        wanted = len(self.till.acknowledged) + FLOW

        async def came_through() -> bool | None:
            self.check()
            with suppress(StoreUnavailable):
                return await self.folded() >= wanted or None
            return None

        await eventually(came_through)

    def check(self) -> None:
        """None of the tasks has ended, or raised."""
        for task in self.tasks:
            if task.done():
                task.result()
                raise AssertionError(f"{task.get_name()} has ended")


async def kill(home: Path, name: str) -> None:
    """Kill a server of the home, and wait until another process has taken its place."""
    path = home / "pids" / name
    killed = int(path.read_text())
    os.kill(killed, signal.SIGKILL)

    async def replaced() -> bool | None:
        return int(path.read_text()) != killed or None

    await eventually(replaced)


async def check_totals(shop: Shop) -> None:
    """What was acknowledged is in Kafka in order, and the read model is its fold."""
    commits = await commits_in(shop.kernel.database)
    check_commits(commits)
    recorded = {
        mark.id: (commit.stream, mark.version) for commit in commits for mark in commit.commands
    }
    assert recorded == shop.till.acknowledged
    log = await topic_log(shop.kernel.kafka, SERVICE)
    check_topics(commits, log)
    expected = await read(TOTALS, [records for records in log.values() if records])
    found = await documents_in(shop.kernel.database, TOTALS.name)
    assert {
        name: msgspec.convert({**raw, "rev": 0}, CustomerTotals) for name, raw in found.items()
    } == expected
    # Receipt n is worth n.
    count = len(shop.till.acknowledged)
    assert (
        sum(at.spent for each in expected.values() for at in each.branches)
        == count * (count + 1) // 2
    )


async def test_killed_servers_come_back_and_nothing_is_lost_or_out_of_order(
    stack: EmbeddedProcess, tmp_path: Path
) -> None:
    servers = Servers(stack.addresses["kafka_url"], stack.addresses["mongo_url"], stack)
    kernel = await Kernel.build(LocalChain(servers, tmp_path).settings(Settings), SERVICE)
    projector, relay, till = await kernel.projector(TOTALS), kernel.relay(), Till(kernel.writer)
    selling = asyncio.create_task(till.run(), name="till")
    projecting = asyncio.create_task(projector.run(), name="projector")
    relaying = asyncio.create_task(relay.run(), name="relay")
    shop = Shop(kernel, till, (selling, projecting, relaying))
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            await shop.flows()
            await kill(stack.home, "kafka")
            await shop.flows()
            await kill(stack.home, "mongo")
            await shop.flows()
            till.closing = True
            await selling
            shop.tasks = (projecting, relaying)

            async def all_folded() -> bool | None:
                shop.check()
                return await shop.folded() == len(till.acknowledged) or None

            await eventually(all_folded)
            assert relay.leading
            assert projector.ready
            await check_totals(shop)
    finally:
        projector.stop()
        await asyncio.wait([projecting], timeout=10)
        for task in (selling, projecting, relaying):
            task.cancel()
        await asyncio.gather(selling, projecting, relaying, return_exceptions=True)
        await kernel.close()
