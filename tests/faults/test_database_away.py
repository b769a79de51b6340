"""The database is away while tills send, over HTTP and to the inbox: all comes in, and once."""

import asyncio
import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from services.interaction.main import InteractionSettings, build
from shared.access import Role
from shared.process.running import run
from shared.testing import LocalChain, Servers
from shared.testing.ports import free_port
from tests.faults.children import Nursery
from tests.faults.lines import line_to
from tests.faults.scenes import eventually
from tests.faults.tilling import Tills, receipt

pytestmark = pytest.mark.faults

LONG = "REGULARS_LONG_TESTS"
AWAY_SECONDS = 60.0 if os.environ.get(LONG) else 15.0
"""Longer than a server is looked for (3 s) and than an append may last, several times over."""
TILLS = 3
BATCH = 5
AT_ONCE = 20
PAUSE_SECONDS = 0.2
SECONDS = 100.0


def run_interaction(settings: InteractionSettings) -> None:
    """The whole service."""
    run(lambda: build(settings, "all"))


@dataclass(slots=True)
class Shop:
    """Tills that send without end, each batch until it is answered."""

    client: httpx2.AsyncClient
    inbox: Tills
    answered: int = 0
    written: int = 0
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def sell(self, till: int) -> None:
        """Over HTTP; every batch once more after it was answered."""
        for first in itertools.count(1_000_000 * till, BATCH):
            if self.closing.is_set():
                return
            batch = [receipt(number) for number in range(first, first + BATCH)]
            for _ in range(2):
                for item in await self._answers(batch):
                    assert item["status"] == 200, item
            self.inbox.sent.good |= {f"pos|{each['branch']}|{each['source_id']}" for each in batch}
            self.answered += BATCH
            await asyncio.sleep(PAUSE_SECONDS)

    async def _answers(self, batch: list[dict[str, object]]) -> list[dict[str, object]]:
        while True:
            try:
                answer = await self.client.post("/v1/facts/batch", json={"items": batch})
            except httpx2.TransportError:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if answer.is_success:
                found: list[dict[str, object]] = answer.json()["items"]
                return found
            assert answer.status_code in {429, 503}, answer.text
            await asyncio.sleep(PAUSE_SECONDS)

    async def write(self) -> None:
        """To the inbox."""
        for first in itertools.count(0, 10 * AT_ONCE):
            if self.closing.is_set():
                return
            await self.inbox.write(1 + first, AT_ONCE)
            self.written += 1
            await asyncio.sleep(5 * PAUSE_SECONDS)


async def test_while_the_database_is_away_tills_go_on_and_all_comes_in_once(
    servers: Servers, tmp_path: Path, children: Nursery
) -> None:
    chain, port = LocalChain(servers, tmp_path), free_port()
    direct = chain.settings(InteractionSettings, port=port, append_deadline_seconds=3)
    headers = {"Authorization": f"Bearer {await chain.key(Role.OWNER)}"}
    async with (
        line_to(servers.mongo_url) as (line, mongo_url),
        httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30
        ) as client,
    ):
        settings = direct.model_copy(update={"mongo_url": mongo_url})
        child = children.start(run_interaction, settings)
        shop = Shop(client, Tills(direct))

        async def ready() -> bool:
            try:
                return (await client.get("/readyz")).is_success
            except httpx2.HTTPError:
                return False

        await eventually(ready, SECONDS)
        works = [asyncio.create_task(shop.sell(1 + till)) for till in range(TILLS)]
        works.append(asyncio.create_task(shop.write()))
        try:
            await _goes_on(shop)
            await line.cut()
            before = shop.answered
            await asyncio.sleep(AWAY_SECONDS)
            # What was under way may have been answered yet, and nothing after it.
            assert shop.answered - before <= TILLS * BATCH
            await line.mend()
            await _goes_on(shop)
            shop.closing.set()
            await asyncio.gather(*works)
        finally:
            for work in works:
                work.cancel()
        assert child.alive, child.tail()
        await eventually(shop.inbox.check, SECONDS)


async def _goes_on(shop: Shop) -> None:
    """Wait until some more batches were answered, and written."""
    answered, written = shop.answered + 10 * BATCH, shop.written + 2

    async def more() -> bool:
        return shop.answered >= answered and shop.written >= written

    await eventually(more, SECONDS)
