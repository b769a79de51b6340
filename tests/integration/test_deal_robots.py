"""Robots and merges on real servers: what was due while nobody was there is done, and on time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from services.customer.main import build
from shared.mongo import Database, connect
from shared.mongo.events import COMMITS
from shared.settings import Settings
from shared.testing import LocalChain
from shared.testing.chain import eventually

Json = Any
WAITS = 15
"""Seconds in a stage: longer than a process needs to begin and to stop."""


def pipeline(port: int) -> Json:
    robots = [
        {"robot": "call", "after": WAITS, "action": {"kind": "task", "title": "Call"}},
        {"robot": "tell", "action": {"kind": "webhook", "url": f"http://127.0.0.1:{port}/x"}},
        {"robot": "source", "action": {"kind": "field", "field": "source", "value": "robot"}},
    ]
    return {
        "titles": {"en": "Sales"},
        "stages": [
            {"stage": "new", "titles": {"en": "New"}, "probability": 1000, "robots": robots}
        ],
        "won": {"en": "Won"},
        "lost": {"en": "Lost"},
    }


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[str]]]:
    """Another system, which fails at first; its port, and what it was told."""
    got: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        got.append((await reader.readexactly(length)).decode())
        status = "503 Later" if len(got) == 1 else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], got


async def post(client: httpx2.AsyncClient, path: str, body: Json) -> Json:
    answer = await client.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def logged(chain: LocalChain, stream: str) -> list[Json]:
    """The events of a stream as they are stored."""
    client = connect(chain.servers.mongo_url)
    try:
        commits = Database(client, f"{chain.prefix}customer").collection(COMMITS)
        found = await commits.find({"stream": stream}, sort=[("seq", 1)])
    finally:
        client.close()
    return [json.loads(text) for commit in found for text in commit["events"]]


@pytest.fixture
def settings(chain: LocalChain) -> Settings:
    return chain.settings(Settings, webhook_private_addresses=True)


async def test_robots_act_at_their_moment_though_nobody_was_there(
    chain: LocalChain, settings: Settings
) -> None:
    async with listening() as (port, told):
        async with chain.running(build, settings) as owner:
            assert (await owner.put("/v1/pipelines/sales", json=pipeline(port))).is_success
            anna = (await post(owner, "/v1/customers", {"surname": "Ivanova"}))["id"]
            deal = (await post(owner, "/v1/deals", {"customer": anna, "pipeline": "sales"}))["id"]

            async def changed() -> bool | None:
                answer = await owner.get(f"/v1/deals/{deal}")
                return (answer.is_success and answer.json()["source"] == "robot") or None

            await eventually(changed)
        asked = await logged(chain, f"robots-{deal}")
        assert "deal.task_requested.v1" not in [each["type"] for each in asked]
        (opened, *_) = await logged(chain, f"deal-{deal}")
        entered = datetime.fromisoformat(opened["time"])
        due = entered + timedelta(seconds=WAITS)
        await asyncio.sleep(max(0.0, (due - settings.clock().now()).total_seconds()))
        async with chain.running(build, settings):

            async def both() -> list[Json] | None:
                found = await logged(chain, f"robots-{deal}")
                return found if len(found) == 3 and len(told) >= 2 else None

            asked = await eventually(both)
    (task,) = [each for each in asked if each["type"] == "deal.task_requested.v1"]
    # At the exact moment, though it was seen later.
    assert datetime.fromisoformat(task["time"]) == due
    # The first call failed; it was repeated, with the same id.
    assert {json.loads(each)["deal"] for each in told} == {deal}
    assert len({json.loads(each)["id"] for each in told}) == 1


async def test_a_deal_follows_a_merge_and_comes_back(chain: LocalChain, settings: Settings) -> None:
    async with chain.running(build, settings) as owner:
        assert (await owner.put("/v1/pipelines/sales", json=pipeline(9))).is_success
        anna, boris = [
            (await post(owner, "/v1/customers", {"surname": name}))["id"] for name in ("A", "B")
        ]
        body = {"customer": anna, "pipeline": "sales", "title": "A sofa"}
        deal = (await post(owner, "/v1/deals", body))["id"]
        await post(owner, f"/v1/customers/{anna}/merge", {"into": boris})

        def owned_by(customer: str) -> Any:  # noqa: ANN401 - a question for `eventually`
            async def ask() -> Json | None:
                found = (await owner.get(f"/v1/deals/{deal}")).json()
                return found if found.get("customer") == customer else None

            return ask

        found = await eventually(owned_by(boris))
        assert (found["title"], found["version"] > 1_000_000) == ("A sofa", True)
        # Who asks for the one that was merged is answered with the survivor's.
        listed = (await owner.get("/v1/deals", params={"customer": anna})).json()["items"]
        assert [each["id"] for each in listed] == [deal]
        await post(owner, f"/v1/deals/{deal}/win", {})
        await post(owner, f"/v1/customers/{anna}/merge/revert", {})
        found = await eventually(owned_by(anna))
        assert (found["title"], found["status"]) == ("A sofa", "won")
        await post(owner, f"/v1/customers/{anna}/erase", {"confirm": "erase", "reason": "request"})

        async def untitled() -> Json | None:
            found = (await owner.get(f"/v1/deals/{deal}")).json()
            return found if found["title"] is None else None

        # The deal stays in the figures, and tells nothing of her any more.
        found = await eventually(untitled)
        assert (found["status"], found["pipeline"]) == ("won", "sales")
        for word in ("win", "reopen"):
            answer = await owner.post(f"/v1/deals/{deal}/{word}")
            assert answer.status_code < 500, answer.text
