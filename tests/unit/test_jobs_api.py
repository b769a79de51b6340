"""Jobs over HTTP: what a caller sees of them while they go on."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.http import build_app, cursor_of
from shared.jobs import (
    Checkpoint,
    Flaw,
    Job,
    JobApi,
    JobRunner,
    Jobs,
    RowResult,
    api,
    kinds_by_name,
)
from shared.memory import MemoryApiKeys, MemoryJobs, MemoryLeases
from shared.testing import DAY, client_of

SECRET = b"s" * 32


@dataclass
class Odd:
    """Refuses every second row; two rows a chunk."""

    name: str = "odd"

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        for row in range(job.position + 1, (job.total or 0) + 1, 2):
            good = RowResult(row=row, outcome="new", id=f"c{row}", version=1)
            bad = RowResult(row=row + 1, outcome="error", flaws=(Flaw("no phone", "phone"),))
            await checkpoint(row + 1, {"new": 1, "error": 1}, [good, bad])


@dataclass
class Place:
    """The API, whoever asks it, and the worker behind."""

    client: httpx2.AsyncClient
    jobs: Jobs
    runner: JobRunner
    by: str

    async def work_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.runner.look()
        await self.runner.settle()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    clock, keys = ManualClock(DAY), MemoryApiKeys()
    text, stored = issue(SECRET, title="t", roles=[Role.SERVICE], branches=["12"])
    await keys.add(stored)
    jobs = Jobs(MemoryJobs(), clock)

    async def ready() -> dict[str, bool | str]:
        return {}

    app = build_app(
        title="t",
        service="t",
        routers=[JobApi(jobs).router()],
        authenticator=Authenticator(keys, SECRET),
        readiness=ready,
    )
    runner = JobRunner(jobs.store, MemoryLeases(clock), clock, kinds_by_name([Odd()]), "a")
    async with client_of(app, text) as client:
        yield Place(client, jobs, runner, f"key:{stored.prefix}")


def events(text: str) -> list[tuple[str, Any]]:
    blocks = [block.splitlines() for block in text.strip().split("\n\n")]
    return [
        (lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: ")))
        for lines in blocks
    ]


async def test_a_job_is_listed_read_and_its_rows_are_paged(place: Place) -> None:
    await place.jobs.begin("odd", place.by, {"secret": "of the kind"}, job_id="1", total=4)
    await place.jobs.begin("odd", "key:somebody", {}, job_id="2", total=4)
    await place.runner.look()
    await place.runner.settle()
    listed = (await place.client.get("/v1/jobs")).json()
    assert [each["id"] for each in listed["items"]] == ["1"]
    job = (await place.client.get("/v1/jobs/1")).json()
    assert (job["state"], job["position"], job["counts"]) == ("done", 4, {"new": 2, "error": 2})
    assert "secret" not in str(job)
    first = (await place.client.get("/v1/jobs/1/results", params={"limit": 3})).json()
    rest = await place.client.get("/v1/jobs/1/results", params={"cursor": first["next_cursor"]})
    assert [each["row"] for each in (*first["items"], *rest.json()["items"])] == [1, 2, 3, 4]
    for far in (10**30, -(10**30)):
        beyond = {"cursor": cursor_of(far)}
        assert (await place.client.get("/v1/jobs/1/results", params=beyond)).status_code == 200
    errors = (await place.client.get("/v1/jobs/1/results", params={"outcome": "error"})).json()
    assert errors["items"][0]["flaws"] == [{"field": "phone", "message": "no phone"}]
    assert (await place.client.get("/v1/jobs/2")).status_code == 404
    assert (await place.client.get("/v1/jobs/2/results")).status_code == 404
    assert (await place.client.post("/v1/jobs/2/stop")).status_code == 404


async def test_whoever_follows_a_job_sees_it_go_on_and_end(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "LOOK_SECONDS", 0.005)
    await place.jobs.begin("odd", place.by, {}, job_id="1", total=4)
    working = asyncio.create_task(place.work_after(0.02))
    answer = await place.client.get("/v1/jobs/1/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    await working
    seen = events(answer.text)
    # Looks before it began were alike: one event.
    assert [name for name, _ in seen] == ["progress", "end"]
    assert seen[0][1] == {"state": "waiting", "position": 0, "total": 4, "counts": {}}
    assert (seen[1][1]["state"], seen[1][1]["position"]) == ("done", 4)


async def test_a_job_is_paused_resumed_and_stopped(place: Place) -> None:
    await place.jobs.begin("odd", place.by, {}, job_id="1", total=4)
    for wish, state in (("pause", "paused"), ("resume", "waiting"), ("stop", "stopped")):
        assert (await place.client.post(f"/v1/jobs/1/{wish}")).json()["state"] == state
    again = await place.client.post("/v1/jobs/1/stop")
    assert (again.status_code, again.json()["state"]) == (409, "stopped")
