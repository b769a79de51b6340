"""Dispatchers, the broker and the database are killed while messages go out: once, or a doubt.

Two gateways of the test count what they have accepted, and when: one for mail, which knows nothing
again, and one that declares to take an id once. Dispatchers die at each step around a hand-over and
at random, one is frozen past its lease, the servers are killed, all memberships are told again, and
some customers withdraw meanwhile. What is due is accepted once where ids are known again; by mail
never twice, and what is not known to be accepted is listed as uncertain.

Of 300 customers with two campaigns each; with `REGULARS_LONG_TESTS=1` of 10,000, in 20 minutes.
"""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from services.notify.handlers.sending.finding import PAGE
from shared.testing import Servers, eventually
from shared.testing.servers import EmbeddedProcess
from tests.faults.children import Child, Nursery
from tests.faults.sending import Chain, Fate, Story, chain_of
from tests.faults.test_outages import kill, stack
from tests.faults.test_pauses import LONG

__all__ = ["stack"]

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_800 if os.environ.get(LONG) else 240)]

Json = Any
CUSTOMERS = 10_000 if os.environ.get(LONG) else 300
CHANNELS = ("email", "webhook")
WITHDRAWING = CUSTOMERS // 10
SECONDS = 1_200.0 if os.environ.get(LONG) else 150.0
LATEST_SECONDS = 30.0
"""After a withdrawal was accepted."""
FROZEN_SECONDS = 20.0
"""A lease is of 15 s."""
FATES: tuple[Fate, ...] = ("begun", "half handed over", "all handed over", "written down", "frozen")


async def test_what_is_due_is_accepted_once_though_everything_is_killed(
    stack: EmbeddedProcess,
    tmp_path: Path,
    children: Nursery,
) -> None:
    servers = Servers(stack.addresses["kafka_url"], stack.addresses["mongo_url"], stack)
    random = Random(7)
    async with chain_of(servers, tmp_path, SECONDS) as chain:
        await chain.register(CUSTOMERS)
        await chain.begin(*CHANNELS)
        fated = [await chain.worker(children, fate) for fate in FATES]
        await chain.tell(chain.names)
        withdrawing = asyncio.create_task(chain.withdraw(random, WITHDRAWING))
        await survive(chain, children, fated, stack, random)
        await withdrawing
        stories = await eventually(partial(over, chain), SECONDS)
        check(chain, stories)


async def over(chain: Chain) -> Mapping[str, Story] | None:
    """All messages, once each has its outcome; the log is read when the figures say so."""
    for channel in CHANNELS:
        answer = await chain.notify.get(f"/v1/campaigns/{channel}")
        told = answer.json().get("figures", {"open": CUSTOMERS})
        if told["open"] or told["sent"] + told["uncertain"] < CUSTOMERS - WITHDRAWING:
            return None
    stories = await chain.log()
    done = len(stories) == 2 * CUSTOMERS and all(each.outcomes for each in stories.values())
    return stories if done else None


async def survive(
    chain: Chain,
    children: Nursery,
    fated: Sequence[Child],
    stack: EmbeddedProcess,
    random: Random,
) -> None:
    """Everybody meets their fate; others go on, and the servers die under them."""
    *dying, frozen = fated
    await asyncio.gather(*(child.ended(SECONDS) for child in dying))
    assert all(child.killed for child in dying), children.tails()
    await frozen.stopped(SECONDS)
    thaw = asyncio.get_running_loop().time() + FROZEN_SECONDS
    first, second = await chain.worker(children, "lives"), await chain.worker(children, "lives")
    await kill(stack.home, "kafka")
    await eventually(partial(once_it_is_up, chain.tell_again), SECONDS)
    await kill(stack.home, "mongo")
    await asyncio.sleep(random.uniform(0, 2))
    first.send(signal.SIGKILL)
    await chain.worker(children, "lives")
    await asyncio.sleep(thaw - asyncio.get_running_loop().time())
    frozen.send(signal.SIGCONT)
    assert second.alive


async def once_it_is_up(work: Callable[[], Awaitable[None]]) -> bool | None:
    """The broker has another process by now, which may not answer yet."""
    try:
        await work()
    except KafkaError:
        return None
    return True


def check(chain: Chain, stories: Mapping[str, Story]) -> None:
    """Once, or a doubt that is listed; and nobody long after a no."""
    assert all(len(each.outcomes) == 1 for each in stories.values()), "one outcome each"
    found = {(each.campaign, each.customer): each.outcomes[0] for each in stories.values()}
    assert len(found) == len(stories) == 2 * CUSTOMERS
    gateways = chain.mails.accepted.times, chain.hooks.accepted.times
    for channel, accepted in zip(CHANNELS, gateways, strict=True):
        assert all(len(times) == 1 for times in accepted.values()), "somebody got it twice"
        for name, (at,) in accepted.items():
            assert at <= chain.withdrawn.get(name, at) + LATEST_SECONDS
        for name in chain.names.values():
            outcome = found[channel, name]
            if outcome == "sent":
                assert name in accepted
            elif outcome == "suppressed":
                assert name in chain.withdrawn
                assert name not in accepted
            else:
                # Of mail nobody can say; what is known again is only in doubt after a no.
                assert outcome == "uncertain"
                assert channel == "email" or name in chain.withdrawn
    counts = {
        channel: dict(Counter(found[channel, name] for name in chain.names.values()))
        for channel in CHANNELS
    }
    # What those who died had in hand, and no more. With few customers that may be nearly all.
    assert counts["email"].get("uncertain", 0) <= (len(FATES) + 1) * PAGE
    assert counts["email"].get("sent", 0) > 0
    print(json.dumps({"messages": len(stories), "posted": chain.hooks.asked, **counts}))  # noqa: T201 - figures of the long run
