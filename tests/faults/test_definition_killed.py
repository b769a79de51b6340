"""Workers killed with SIGKILL while they ask the whole base by a new definition.

Two workers share the partitions. One dies when half of a slice is written, one when all of it is,
and one whenever it happens to be killed; another one goes on. In the end memberships are those of a
plain recomputation, each transition was logged once, and each says that a definition caused it.
"""

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from services.segment.main import SegmentSettings
from services.segment.main import build as build_segment
from shared.eventstore import Commit
from shared.mongo import Database, MongoDocuments, connect
from shared.process.running import run
from shared.projector import Projector
from shared.readmodel import RawDocument
from shared.settings import Settings
from shared.testing import LocalChain, Servers, eventually
from shared.testing.ports import free_port
from tests.faults.children import Child, Nursery
from tests.faults.invariants import check_commits, commits_in
from tests.faults.workers import SESSION_MS
from tests.integration.test_interaction_process import readiness

pytestmark = pytest.mark.faults

Json = Any
Steps = Sequence[tuple[RawDocument, Commit | None]]
Fate = Literal["half of a slice", "all of a slice", "lives"]
CUSTOMERS = 240
AT_ONCE = 40
LEAST = (2, 3, 1)
"""Receipts that the three definitions ask for, one after the other."""
SECONDS = 60.0
NOW = datetime.now(UTC)  # noqa: TID251 - receipts of the last days, by the clock of the servers


def run_segment_worker(settings: SegmentSettings, fate: Fate) -> None:
    """A worker that dies at the first transition that it writes because of a definition."""
    writing, patch = MongoDocuments.write_stepped, pytest.MonkeyPatch()
    consuming = Projector._consumer  # noqa: SLF001 - there is no other way in

    async def write_stepped(documents: MongoDocuments, steps: Steps) -> set[str]:
        because = [step for step in steps if step[1] is not None and _defined(step[1])]
        if fate == "lives" or not because:
            return await writing(documents, steps)
        await writing(documents, steps if fate == "all of a slice" else because[::2])
        os.kill(os.getpid(), signal.SIGKILL)
        return set()

    def consumer(projector: Projector) -> AIOKafkaConsumer:
        made = consuming(projector)
        made._session_timeout_ms = SESSION_MS  # noqa: SLF001 - as above
        return made

    patch.setattr(MongoDocuments, "write_stepped", write_stepped)
    patch.setattr(Projector, "_consumer", consumer)
    run(lambda: build_segment(settings, "worker"))


def _defined(commit: Commit) -> bool:
    return any('"kind":"definition"' in text for text in commit.events)


@dataclass(slots=True)
class Base:
    """A chain with workers of its segments in processes of their own."""

    chain: LocalChain
    children: Nursery
    segments: httpx2.AsyncClient

    async def worker(self, fate: Fate) -> Child:
        """Another worker, once it has partitions."""
        port = free_port()
        child = self.children.start(run_segment_worker, self.settings(port), fate)
        await eventually(lambda: readiness(port), SECONDS)
        return child

    def settings(self, port: int) -> SegmentSettings:
        return self.chain.settings(SegmentSettings, port=port, wave_share=100)

    async def define(self, least: int, name: str = "buyers") -> None:
        """Give the segment another definition."""
        found = await self.segments.get(f"/v1/segments/{name}")
        rule = {
            "kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": least},
            "within": "P30D",
        }  # fmt: skip
        headers = {"If-Match": found.headers["ETag"]} if found.is_success else {}
        body = {"title": name, "rule": rule}
        answer = await self.segments.put(f"/v1/segments/{name}", json=body, headers=headers)
        assert answer.is_success, answer.text

    async def evaluated(self, members: int, name: str = "buyers") -> None:
        """Wait until everybody is asked, and the members are there to be read."""

        async def so() -> bool | None:
            found = (await self.segments.get(f"/v1/segments/{name}")).json()
            evaluation = found["evaluation"] or {}
            through = evaluation.get("stage") == "finished" and evaluation["of"] == CUSTOMERS
            return True if through and found["members"] == members else None

        await eventually(so, SECONDS)

    async def log(self) -> dict[str, list[tuple[str, int, str]]]:
        """What was logged of each customer: kind, definition, and cause."""
        client = connect(self.chain.servers.mongo_url)
        try:
            commits = await commits_in(Database(client, f"{self.chain.prefix}segment"))
        finally:
            client.close()
        check_commits(commits)
        found: dict[str, list[tuple[str, int, str]]] = {}
        for commit in commits:
            for event in map(json.loads, commit.events):
                data, kind = event["data"], event["type"].split(".")[1]
                if kind in {"entered", "exited"} and data["segment"] == "buyers":
                    entry = (kind, data["definition"], data["cause"]["kind"])
                    found.setdefault(event["subject"], []).append(entry)
        return found


def receipts(number: int) -> int:
    """How many receipts the customer of that number has: from none to three."""
    return number % 4


def right(receipts: int) -> list[tuple[str, int, str]]:
    """What is to be logged of a customer, by definition."""
    inside, found = False, []
    for definition, least in enumerate(LEAST, start=1):
        if inside is not (receipts >= least):
            inside = not inside
            found.append(("entered" if inside else "exited", definition, "definition"))
    return found


async def taken(client: httpx2.AsyncClient, path: str, items: Sequence[Json]) -> list[Json]:
    """What became of each: a few at a time, and again while a busy store has no time for them."""
    found: list[Json] = []
    for start in range(0, len(items), AT_ONCE):
        body = {"items": items[start : start + AT_ONCE]}

        async def answered(body: Json = body) -> list[Json] | None:
            answer = await client.post(path, json=body)
            if answer.status_code == 503:
                return None
            assert answer.is_success, answer.text
            return list(answer.json()["items"])

        found += await eventually(answered, SECONDS)
    return found


async def begun(customers: httpx2.AsyncClient, facts: httpx2.AsyncClient) -> dict[str, int]:
    """The base, and how many receipts each has."""
    who = [
        {
            "request_id": f"c{number}",
            "surname": f"S{number}",
            "identifiers": [{"kind": "external", "value": f"c{number}"}],
        }
        for number in range(CUSTOMERS)
    ]
    ids = [each["id"] for each in await taken(customers, "/v1/customers/batch", who)]
    bought = [
        {
            "source_id": f"{number}-{day}",
            "branch": "12",
            "time": (NOW - timedelta(days=day + 1)).isoformat(timespec="milliseconds"),
            "identifier": {"kind": "external", "value": f"c{number}"},
            "lines": [{"product": "tea", "quantity": 1, "amount": 1000}],
        }
        for number in range(CUSTOMERS)
        for day in range(receipts(number))
    ]
    answers = await taken(facts, "/v1/receipts/batch", bought)
    assert {each["status"] for each in answers} <= {200, 201}
    return {customer: receipts(number) for number, customer in enumerate(ids)}


async def test_an_evaluation_whose_workers_are_killed_logs_each_transition_once(
    servers: Servers, tmp_path: Path, children: Nursery
) -> None:
    chain = LocalChain(servers, tmp_path)
    own = chain.settings(SegmentSettings, wave_share=100)
    async with (
        chain.running(build_customer, chain.settings(Settings)) as customers,
        chain.running(build_interaction, chain.settings(InteractionSettings)) as facts,
        chain.running(build_segment, own, "relay"),
        chain.running(build_segment, own, "api") as segments,
    ):
        base = Base(chain, children, segments)
        second = await base.worker("lives")
        have = await begun(customers, facts)
        # Receipts that came before their customers were known are moved: all of that is over then.
        await base.define(1, "known")
        await base.evaluated(CUSTOMERS * 3 // 4, "known")
        first = await base.worker("half of a slice")
        # Of four customers two have bought twice or more, one three times, and three at all.
        await base.define(LEAST[0])
        await first.ended(SECONDS)
        assert first.killed, first.tail()
        third = await base.worker("all of a slice")
        await base.evaluated(CUSTOMERS // 2)
        await base.define(LEAST[1])
        await third.ended(SECONDS)
        assert third.killed, third.tail()
        await base.worker("lives")
        await base.evaluated(CUSTOMERS // 4)
        await base.define(LEAST[2])
        second.send(signal.SIGKILL)
        await base.evaluated(CUSTOMERS * 3 // 4)
        assert await base.log() == {
            customer: right(number) for customer, number in have.items() if right(number)
        }
        assert not second.alive
