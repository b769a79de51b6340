"""The customer service killed with SIGKILL while its rules act: what they do is done once."""

import json
import os
import signal
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.customer.main import build
from shared.access import Role
from shared.eventstore import Append
from shared.mongo import Database, MongoEventStore, connect
from shared.mongo.events import COMMITS
from shared.process.running import run
from shared.settings import Settings
from shared.testing import LocalChain, Servers
from shared.testing.chain import eventually
from shared.testing.ports import free_port
from tests.faults.children import Nursery

pytestmark = pytest.mark.faults

Json = Any
CUSTOMERS = 40
SECONDS = 100.0
"""A broker waits for the members of who was killed."""
STEPS = ("half of what the rules do", "all of what the rules do")
"""What is recorded when the process dies; each dies at the first that it does of it."""


def run_customer(settings: Settings, step: str | None) -> None:
    """The whole service, which dies at the step."""
    appending, patch = MongoEventStore.append, pytest.MonkeyPatch()

    async def append(store: MongoEventStore, appends: Sequence[Append]) -> Sequence[bool]:
        marks = [mark for each in appends for mark in each.commit.commands]
        if step is None or not any(mark.id.startswith("automation|") for mark in marks):
            return await appending(store, appends)
        done = await appending(store, appends if step == STEPS[1] else appends[::2])
        os.kill(os.getpid(), signal.SIGKILL)
        return done

    patch.setattr(MongoEventStore, "append", append)
    run(lambda: build(settings, "all"))


def rule(status: str, tag: str) -> Json:
    """Whoever gets to the status gets a tag and a task."""
    return {
        "titles": {"en": tag},
        "when": {"on": "status_reached", "status": status},
        "then": {"add_tags": [tag], "task": {"title": tag, "due": "P1D"}},
    }


async def acted(chain: LocalChain) -> Counter[tuple[str, str]]:
    """How often each customer got which tag or task."""
    client = connect(chain.servers.mongo_url)
    try:
        commits = Database(client, f"{chain.prefix}customer").collection(COMMITS)
        found = await commits.find({"stream": {"$gte": "customer-", "$lt": "customer-\U0010ffff"}})
    finally:
        client.close()
    counts = Counter[tuple[str, str]]()
    for event in (json.loads(text) for commit in found for text in commit["events"]):
        if event["type"] == "customer.tags_changed.v1":
            counts.update((event["subject"], tag) for tag in event["data"]["added"])
        if event["type"] == "customer.task_requested.v1":
            counts[event["subject"], "task"] += 1
    return counts


async def answers(client: httpx2.AsyncClient) -> bool | None:
    try:
        return True if (await client.get("/v1/jobs")).is_success else None
    except httpx2.HTTPError:
        return None


async def brought(client: httpx2.AsyncClient, customers: Sequence[str], status: str) -> None:
    """Bring all of them to the status at one go."""
    action = {"kind": "status", "status": status}
    body = {"action": action, "selected": customers}
    answer = await client.post("/v1/customers/bulk", json=body)
    assert answer.status_code == 202, answer.text


async def test_a_rule_acts_once_for_each_customer_though_its_service_is_killed(
    servers: Servers, tmp_path: Path, children: Nursery
) -> None:
    chain = LocalChain(servers, tmp_path)
    port = free_port()
    settings = chain.settings(Settings, port=port)
    headers = {"Authorization": f"Bearer {await chain.key(Role.OWNER)}"}

    async def done(number: int) -> bool | None:
        return (await acted(chain)).total() >= number or None

    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30
    ) as client:
        child = children.start(run_customer, settings, STEPS[0])
        await eventually(partial(answers, client), SECONDS)
        for status, tag in (("active", "welcome"), ("lapsed", "farewell")):
            path = f"/v1/configuration/automation/{tag}"
            defined = await client.put(path, json=rule(status, tag))
            assert defined.is_success, defined.text
        who = []
        for number in range(CUSTOMERS):
            sent = await client.post("/v1/customers", json={"surname": f"S{number}"})
            assert sent.is_success, sent.text
            who.append(sent.json()["id"])
        await brought(client, who, "active")
        for following in (STEPS[1], None):
            await child.ended(SECONDS)
            assert child.killed, child.tail()
            child = children.start(run_customer, settings, following)
        # A tag and a task each.
        await eventually(partial(done, 2 * CUSTOMERS), SECONDS)
        await eventually(partial(answers, client), SECONDS)
        # It stands behind the first in each partition: by then all of that was read to the end.
        await brought(client, who, "lapsed")
        await eventually(partial(done, 4 * CUSTOMERS), SECONDS)
    # A tag from each of the two rules, and a task from each.
    assert await acted(chain) == {
        (each, what): number
        for each in who
        for what, number in (("welcome", 1), ("farewell", 1), ("task", 2))
    }
