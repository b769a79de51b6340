"""The customer service killed with SIGKILL amid a bulk action: each customer is acted on once."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.customer.handlers import bulk
from services.customer.main import build
from shared.access import Role
from shared.eventstore import Append
from shared.jobs import Job, JobRunner, RowResult
from shared.mongo import Database, MongoEventStore, MongoJobs, connect
from shared.mongo.events import COMMITS
from shared.process import kernel
from shared.process.running import run
from shared.settings import Settings
from shared.testing import LocalChain, Servers
from shared.testing.chain import eventually
from shared.testing.ports import free_port
from tests.faults.children import Nursery

pytestmark = pytest.mark.faults

Json = Any
CUSTOMERS = 60
CHUNK = 7
LEASE_SECONDS = 1.0
SECONDS = 45.0
TAG = "seen"
STEPS = ("half of a chunk", "a chunk without its results", "a chunk with its results")
"""What is recorded when the process dies; each dies in the second chunk that it does."""


def run_customer(settings: Settings, step: str | None) -> None:
    """The whole service, with small chunks and a short lease; it dies at the step."""
    appending, writing = MongoEventStore.append, MongoJobs.write
    patch, chunks = pytest.MonkeyPatch(), Counter[str]()

    def due(what: str) -> bool:
        chunks[what] += 1
        return step == what and chunks[what] == 2

    async def append(store: MongoEventStore, appends: Sequence[Append]) -> Sequence[bool]:
        if not any('"customer.tags_changed.v1"' in each.commit.events[-1] for each in appends):
            return await appending(store, appends)
        if due(STEPS[0]):
            await appending(store, appends[: len(appends) // 2])
            die()
        done = await appending(store, appends)
        if due(STEPS[1]):
            die()
        return done

    async def write(jobs: MongoJobs, job: Job, results: Sequence[RowResult] = ()) -> bool:
        done = await writing(jobs, job, results)
        if any(each.outcome == bulk.DONE for each in results) and due(STEPS[2]):
            die()
        return done

    patch.setattr(MongoEventStore, "append", append)
    patch.setattr(MongoJobs, "write", write)
    patch.setattr(bulk, "CHUNK", CHUNK)
    patch.setattr(kernel, "JobRunner", partial(JobRunner, lease_seconds=LEASE_SECONDS))
    run(lambda: build(settings, "all"))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def tagged(chain: LocalChain) -> Sequence[str]:
    """Whose tags have changed, as often as they did."""
    client = connect(chain.servers.mongo_url)
    try:
        commits = Database(client, f"{chain.prefix}customer").collection(COMMITS)
        found = await commits.find({"stream": {"$gte": "customer-", "$lt": "customer-\U0010ffff"}})
    finally:
        client.close()
    events = [json.loads(text) for commit in found for text in commit["events"]]
    changed = [each for each in events if each["type"] == "customer.tags_changed.v1"]
    assert all(each["data"] == {"added": [TAG], "removed": []} for each in changed)
    return [each["subject"] for each in changed]


async def answered(client: httpx2.AsyncClient, path: str, good: Callable[[Json], bool]) -> Json:
    """The answer, once it is good; nobody may be there who answers."""

    async def ask() -> Json | None:
        try:
            answer = await client.get(path)
        except httpx2.HTTPError:
            return None
        return answer.json() if answer.is_success and good(answer.json()) else None

    return await eventually(ask, SECONDS)


async def test_a_bulk_action_reaches_each_customer_once_wherever_its_process_is_killed(
    servers: Servers, tmp_path: Path, children: Nursery
) -> None:
    chain = LocalChain(servers, tmp_path)
    port = free_port()
    settings = chain.settings(Settings, port=port)
    headers = {"Authorization": f"Bearer {await chain.key(Role.OWNER)}"}
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30
    ) as client:
        child = children.start(run_customer, settings, STEPS[0])
        await answered(client, "/v1/jobs", lambda _: True)
        who = []
        for number in range(CUSTOMERS):
            sent = await client.post("/v1/customers", json={"surname": f"S{number}"})
            assert sent.is_success, sent.text
            who.append(sent.json()["id"])
        asked = {"action": {"kind": "tag", "add": [TAG]}, "selected": who}
        begun = await client.post("/v1/customers/bulk", json=asked)
        assert begun.status_code == 202, begun.text
        recorded = []
        for following in (*STEPS[1:], None):
            await child.ended(SECONDS)
            assert child.killed, child.tail()
            recorded.append(len(await tagged(chain)))
            child = children.start(run_customer, settings, following)
        path = f"/v1/jobs/{begun.json()['id']}"
        job = await answered(client, path, lambda each: each["state"] == "done")
        page = await answered(client, f"{path}/results?limit=100", lambda _: True)
    # 7 + 3; those 3 again, 4 and 7 more; those 7 again, and 7 more.
    assert recorded == [10, 21, 28]
    assert (job["position"], job["counts"]) == (CUSTOMERS, {"done": CUSTOMERS})
    assert [(each["row"], each["id"], each["outcome"]) for each in page["items"]] == [
        (row, customer, "done") for row, customer in enumerate(who, 1)
    ]
    assert Counter(await tagged(chain)) == dict.fromkeys(who, 1)
