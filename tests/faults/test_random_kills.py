"""Killed at any time while events flow: nothing is lost, and each counts once."""

import asyncio
import os
from dataclasses import dataclass, field, replace
from random import Random
from signal import SIGKILL

import pytest

from shared.testing import diary, note
from tests.faults.children import Child, Nursery
from tests.faults.invariants import (
    check_commits,
    check_diaries,
    check_offsets,
    check_topics,
    commits_in,
    stories_in,
)
from tests.faults.scenes import Scene, Scenes, eventually
from tests.faults.workers import SERVICE, Place, keyring_of, run_relay, run_worker, writer_of

pytestmark = pytest.mark.faults

LONG = "REGULARS_LONG_TESTS"
EVENTS = 20_000 if os.environ.get(LONG) else 5_000
BATCH = 500
COPIES = 5
"""Events of a commit: a batch is 100 commits, one in each of 100 streams."""
OWNERS = [f"owner-{number}" for number in range(BATCH // COPIES)]
BATCHES = EVENTS // BATCH
KILLS = 4
LATEST_SECONDS = 4.0
PATIENCE_SECONDS = 120.0
READ_MODEL = "flowing_v1"


@dataclass(slots=True)
class Flow:
    """Events that are written while a relay and a worker are killed and started again."""

    scene: Scene
    children: Nursery
    place: Place
    random: Random
    kills: int = 0
    running: dict[str, Child] = field(default_factory=dict)

    def start(self, role: str) -> None:
        """Start a relay or a worker, in the place of the one before."""
        if role == "relay":
            child = self.children.start(run_relay, self.place, f"relay-{self.kills}", None, 500)
        else:
            child = self.children.start(run_worker, self.place, "plain", None, 2_000)
        self.running[role] = child

    async def write(self) -> None:
        """Write all batches; the last of each quarter waits for that quarter's kill."""
        writer = writer_of(self.place, self.scene.client)
        for batch in range(BATCHES):
            while (batch + 1) * KILLS // BATCHES > self.kills:
                await asyncio.sleep(0.05)
            commands = [note(f"f|{batch}|{each}", each, f"{batch}", COPIES) for each in OWNERS]
            await writer.many(diary, commands, stateless=True)

    async def kill(self) -> None:
        """Kill relay and worker in turn, each at a time of its own, and start another."""
        for number in range(KILLS):
            role = ("relay", "worker")[number % 2]
            await asyncio.sleep(self.random.uniform(0, LATEST_SECONDS))
            victim = self.running[role]
            assert victim.alive, victim.tail()
            victim.send(SIGKILL)
            await victim.ended(PATIENCE_SECONDS)
            self.kills += 1
            self.start(role)


async def test_a_relay_and_a_worker_killed_at_random_times_while_events_flow_lose_nothing(
    scenes: Scenes, children: Nursery
) -> None:
    scene = await scenes.new()
    group = f"{SERVICE}.{READ_MODEL}"
    database = await scene.prepare_read_model(READ_MODEL)
    flow = Flow(scene, children, replace(scene.place, read_model=READ_MODEL), Random(20171201))
    flow.start("relay")
    flow.start("worker")
    await asyncio.gather(flow.write(), flow.kill())
    assert flow.kills == KILLS
    commits = await commits_in(scene.database())
    check_commits(commits)
    # 10 batches, or 40, of 100 commits of 5 events.
    assert sum(len(commit.events) for commit in commits) == EVENTS

    async def relayed() -> None:
        check_topics(commits, await scene.log())

    await eventually(relayed, PATIENCE_SECONDS)
    log = await scene.log()
    await eventually(lambda: scene.applied(group, log), PATIENCE_SECONDS)
    await check_offsets(flow.place.kafka, group, log, database, READ_MODEL)
    stories = await stories_in(log, keyring_of(flow.place, scene.client))
    await check_diaries(database, READ_MODEL, stories)
