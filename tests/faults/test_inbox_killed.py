"""Whoever takes the inbox is killed at any step, frozen, or joined by another: all comes in once.

Each step is a chain of its own; they run at once, because most of the time is spent waiting until
the broker gives up the dead.
"""

import asyncio
import signal
from pathlib import Path

import pytest

from shared.process import Kernel
from shared.settings import Settings
from shared.testing import LocalChain, Servers
from tests.faults.children import Nursery
from tests.faults.scenes import all_of, eventually
from tests.faults.tilling import SERVICE, Tills, run_inbox
from tests.faults.workers import Plan

pytestmark = pytest.mark.faults

FACTS = 60
STEPS = [
    Plan("take", "before", 2),
    Plan("append", "before", 3),
    Plan("append", "during", 3),
    Plan("append", "after", 3),
    Plan("wait", "before"),
    Plan("wait", "after"),
    Plan("bury", "before"),
    Plan("bury", "during"),
    Plan("bury", "after"),
    Plan("take", "after", 2),
    Plan("release", "before"),
    Plan("release", "after"),
]
SECONDS = 200.0
"""The broker gives up a dead member after ten, and so does the lease; 24 share two busy cores."""


async def tills(servers: Servers, folder: Path) -> Tills:
    """Tills of a new chain, whose topics and indexes are there."""
    settings = LocalChain(servers, folder).settings(Settings, append_deadline_seconds=5)
    kernel = await Kernel.build(settings, SERVICE)
    await kernel.close()
    return Tills(settings)


async def test_whoever_takes_the_inbox_is_killed_at_any_step_and_all_comes_in_once(
    servers: Servers, tmp_path: Path, children: Nursery
) -> None:
    await all_of({f"{plan}": _killed(servers, tmp_path, children, plan) for plan in STEPS})


async def _killed(servers: Servers, folder: Path, children: Nursery, plan: Plan) -> None:
    writing = await tills(servers, folder)
    await writing.write(1, FACTS)
    child = children.start(run_inbox, writing.settings, "first", plan)
    await child.ended(SECONDS)
    assert child.killed, child.tail()
    children.start(run_inbox, writing.settings, "second", None)
    await eventually(writing.check, SECONDS)
    # At most those of the one batch whose end nobody saw are there twice.
    assert len(await writing.dead()) <= 2 * len(writing.sent.bad)


async def test_two_take_over_from_each_other_while_tills_write_and_all_comes_in_once(
    servers: Servers, tmp_path: Path, children: Nursery
) -> None:
    writing = await tills(servers, tmp_path)
    first = children.start(run_inbox, writing.settings, "first", None)
    await writing.write(1, FACTS)
    await eventually(writing.check, SECONDS)
    # Joined by another, in the midst of what is written.
    writes = asyncio.create_task(_write_on(writing, 2))
    second = children.start(run_inbox, writing.settings, "second", None)
    await writes
    # The first stands still until the second has all the partitions, and then goes on as if.
    first.send(signal.SIGSTOP)
    await writing.write(5_000, FACTS)
    await eventually(writing.check, SECONDS)
    first.send(signal.SIGCONT)
    await writing.write(6_000, FACTS)
    await eventually(writing.check, SECONDS)
    # Whoever is asked to go goes in good order, and the other takes over.
    second.send(signal.SIGTERM)
    await writing.write(7_000, FACTS)
    assert await second.ended(SECONDS) == 0, second.tail()
    await eventually(writing.check, SECONDS)


async def _write_on(writing: Tills, times: int) -> None:
    for number in range(1, times + 1):
        await writing.write(1_000 * number, FACTS)
        await asyncio.sleep(0.5)
