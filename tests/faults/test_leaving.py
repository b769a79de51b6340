"""Who leaves by the link of a mail gets nothing from then on, though no event can say so.

The relay of the customer service stands still, and a batch is being handed over meanwhile.
"""

from pathlib import Path
from random import Random

import pytest

from services.notify.main import build as build_notify
from shared.testing import Servers, eventually
from tests.faults.leaving import Leaving
from tests.faults.sending import chain_of

pytestmark = [pytest.mark.faults, pytest.mark.timeout(200)]

CUSTOMERS = 100
SECONDS = 60.0


async def test_who_leaves_gets_nothing_from_then_on(servers: Servers, tmp_path: Path) -> None:
    async with chain_of(servers, tmp_path, SECONDS) as chain:
        await chain.register(CUSTOMERS)
        await chain.begin("email")
        async with chain.local.running(build_notify, chain.settings, "worker"):
            await chain.tell(chain.names)
            door, people = chain.mails.door, {chain.names[each]: each for each in chain.names}

            async def all_have_one() -> bool | None:
                return True if len(door.ways_out) == CUSTOMERS else None

            await eventually(all_have_one, SECONDS)
            leaving = Leaving(people, chain.customers, chain.notify, door, SECONDS)
            left = await leaving.over(
                lambda: chain.tell(people.values(), "n"), chain.relay.aclose, Random(7)
            )
        left.check(await chain.commits())
