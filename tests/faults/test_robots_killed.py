"""The customer service killed with SIGKILL while its robots work: each acts once, and on time."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.customer.main import build
from shared.access import Role
from shared.mongo import Database, connect
from shared.mongo.events import COMMITS
from shared.process.running import run
from shared.settings import Settings
from shared.testing import LocalChain, Servers
from shared.testing.chain import eventually
from shared.testing.ports import free_port
from tests.faults.children import Nursery

pytestmark = pytest.mark.faults

Json = Any
DEALS = 12
WAITS = 20
"""Seconds in the stage: the first process is dead by then."""


def run_customer(settings: Settings) -> None:
    """The whole service, until it is killed."""
    run(lambda: build(settings, "all"))


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[str]]]:
    """Another system that takes its time; its port, and the requests that it was told of."""
    got: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        got.append(json.loads(await reader.readexactly(length))["id"])
        await asyncio.sleep(0.2)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], got


def pipeline(port: int) -> Json:
    call = {"kind": "webhook", "url": f"http://127.0.0.1:{port}/"}
    robots = [
        {"robot": "tell", "action": call},
        {"robot": "late", "after": WAITS, "action": {"kind": "task", "title": "Call"}},
        {"robot": "later", "after": WAITS, "action": call},
    ]
    stage = {"stage": "new", "titles": {"en": "New"}, "probability": 1, "robots": robots}
    return {
        "titles": {"en": "S"}, "stages": [stage], "won": {"en": "W"}, "lost": {"en": "L"},
    }  # fmt: skip


async def events_of(chain: LocalChain, begin: str) -> list[Json]:
    """The events of all streams whose names begin so."""
    client = connect(chain.servers.mongo_url)
    try:
        commits = Database(client, f"{chain.prefix}customer").collection(COMMITS)
        where = {"stream": {"$gte": begin, "$lt": begin + "\U0010ffff"}}
        found = await commits.find(where, sort=[("stream", 1), ("seq", 1)])
    finally:
        client.close()
    return [json.loads(text) for commit in found for text in commit["events"]]


async def ready(client: httpx2.AsyncClient) -> bool | None:
    try:
        return True if (await client.get("/readyz")).is_success else None
    except httpx2.HTTPError:
        return None


async def test_each_robot_acts_once_and_on_time_though_its_service_is_killed(
    servers: Servers, tmp_path: Path, children: Nursery
) -> None:
    chain = LocalChain(servers, tmp_path)
    port = free_port()
    settings = chain.settings(Settings, port=port, webhook_private_addresses=True)
    headers = {"Authorization": f"Bearer {await chain.key(Role.OWNER)}"}
    async with (
        listening() as (other, told),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client,
    ):
        first = children.start(run_customer, settings)
        await eventually(lambda: ready(client))
        assert (await client.put("/v1/pipelines/s", json=pipeline(other))).is_success
        anna = (await client.post("/v1/customers", json={"surname": "A"})).json()["id"]
        for _ in range(DEALS):
            body = {"customer": anna, "pipeline": "s"}
            assert (await client.post("/v1/deals", json=body)).is_success
        await eventually(lambda: _told(told, 1))
        # In the middle of the first calls.
        first.send(signal.SIGKILL)
        second = children.start(run_customer, settings)
        await eventually(lambda: _told(told, DEALS + 1))
        # Around the moment at which the others are due.
        second.send(signal.SIGKILL)
        children.start(run_customer, settings)
        await eventually(lambda: _told(set(told), 2 * DEALS))
        await eventually(lambda: _settled(chain))
    opened = {each["data"]["deal"]: each["time"] for each in await events_of(chain, "deal-")}
    asked = await events_of(chain, "robots-")
    # Three robots, once each.
    assert Counter(each["data"]["deal"] for each in asked) == dict.fromkeys(opened, 3)
    for each in asked:
        waited = timedelta(seconds=0 if each["data"]["robot"] == "tell" else WAITS)
        entered = datetime.fromisoformat(opened[each["data"]["deal"]])
        assert datetime.fromisoformat(each["time"]) == entered + waited
    calls = {each["data"]["request"] for each in asked if "url" in each["data"]}
    assert set(told) == calls


async def _told(told: Any, number: int) -> bool | None:  # noqa: ANN401 - anything with a length
    return len(told) >= number or None


async def _settled(chain: LocalChain) -> bool | None:
    """Whether each robot of each deal has acted."""
    return len(await events_of(chain, "robots-")) >= 3 * DEALS or None
