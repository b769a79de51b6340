"""Frozen with SIGSTOP between any two steps, overtaken, and woken: nothing regresses.

Each step is a case of its own; all of them run at once, because most of the time is spent waiting
for the leases and group sessions of the frozen to expire.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any, Literal

import pytest

from shared.envelope import decode_light
from shared.mongo import MongoFeed
from shared.mongo.leases import LEASES
from shared.testing.diaries import TOPIC
from shared.testing.kafka_log import committed_offsets
from tests.faults.child import FENCED, run_relay_until_fenced, run_worker_until_woken
from tests.faults.children import Child, Nursery
from tests.faults.invariants import (
    Log,
    check_diaries,
    check_habits,
    check_offsets,
    commits_in,
    documents_in,
    stories_in,
)
from tests.faults.scenes import Scene, Scenes, all_of, eventually
from tests.faults.workers import (
    SERVICE,
    Place,
    Plan,
    Trap,
    When,
    keyring_of,
    relay_of,
    run_relay,
    run_worker,
)

pytestmark = pytest.mark.faults

Kind = Literal["plain", "stepped"]
Step = tuple[str, When]
RELAY_STEPS: list[Step] = [
    ("read", "before"),
    ("read", "after"),
    ("publish", "before"),
    ("publish", "after"),
    ("save", "before"),
    ("save", "after"),
]
WORKER_STEPS: list[Step] = [
    ("load", "before"),
    ("load", "after"),
    ("write", "before"),
    ("write", "after"),
    ("commit", "before"),
    ("commit", "after"),
]
OWNERS = [f"owner-{number}" for number in range(20)]
COMMITS_AT_ONCE = 4
RECORDS_AT_ONCE = 10
PATIENCE_SECONDS = 90.0
SETTLE_SECONDS = 0.3
"""What a killed process has sent last reaches the database within this."""


async def test_a_relay_frozen_at_any_step_changes_nothing_when_it_wakes_behind_its_successor(
    scenes: Scenes, children: Nursery
) -> None:
    await all_of(
        {f"{when} {step}": _freeze_relay(await scenes.new(), children, step, when)
         for step, when in RELAY_STEPS}
    )  # fmt: skip


async def _freeze_relay(scene: Scene, children: Nursery, step: str, when: When) -> None:
    """The fourth time is past the audit at its start, which publishes 5 commits in 2 batches."""
    await _write(scene, "before")
    plan = Plan(step, when, 4, SIGSTOP)
    frozen = children.start(run_relay_until_fenced, scene.place, "frozen", plan, COMMITS_AT_ONCE)
    await _write_until_stopped(scene, frozen)
    fence = (await _lease(scene))["fence"]
    await _write(scene, "meanwhile")
    successor = children.start(run_relay, scene.place, "successor", None)
    await eventually(scene.check_relayed, PATIENCE_SECONDS)
    await _write(scene, "later")
    await eventually(scene.check_relayed, PATIENCE_SECONDS)
    # Whatever changes from here on is the doing of the one that wakes.
    successor.send(SIGKILL)
    await successor.ended(PATIENCE_SECONDS)
    await asyncio.sleep(SETTLE_SECONDS)
    left = await _lease(scene)
    assert left["owner"] == "successor"
    assert left["fence"] > fence
    frozen.send(SIGCONT)
    assert await frozen.ended(PATIENCE_SECONDS) == FENCED, frozen.tail()
    assert await _lease(scene) == left
    await scene.check_relayed()
    await _check_token(scene, left["state"]["token"])
    children.start(run_relay, scene.place, "last", None)
    await eventually(scene.check_relayed, PATIENCE_SECONDS)


async def _write(scene: Scene, text: str) -> None:
    """A commit in each of five streams."""
    await scene.write(*((owner, f"{text} {scene.written}") for owner in OWNERS[:5]))


async def _write_until_stopped(scene: Scene, child: Child) -> None:
    stopping = asyncio.ensure_future(child.stopped(PATIENCE_SECONDS))
    try:
        while not stopping.done():
            await _write(scene, "on the way")
            await asyncio.wait([stopping], timeout=0.3)
        await stopping
    finally:
        stopping.cancel()


async def _lease(scene: Scene) -> Mapping[str, Any]:
    """The lease of the relay as it is stored: owner, fence, expiry, and the state with it."""
    found = await scene.database().collection(LEASES).get(f"relay-{SERVICE}")
    assert found is not None
    return found


async def _check_token(scene: Scene, token: Mapping[str, Any]) -> None:
    """A feed goes on from the token, and passes over no commit that Kafka lacks."""
    await _write(scene, "the end")
    commits = {commit.id: commit for commit in await commits_in(scene.database())}
    last = max(commits, key=lambda name: commits[name].recorded_at)
    ahead: set[str] = set()
    async with MongoFeed(scene.database()) as feed, asyncio.timeout(PATIENCE_SECONDS):
        await feed.open(token)
        while last not in ahead:
            ahead |= {commit.id for commit in (await feed.next(0.5)).commits}
    published = {
        decode_light(record.value).id
        for records in (await scene.log()).values()
        for record in records
    }
    for name in commits.keys() - ahead:
        for text in commits[name].events:
            assert decode_light(text.encode()).id in published, f"the token passes over {name}"


@pytest.mark.parametrize("kind", ["plain", "stepped"])
async def test_a_worker_frozen_at_any_step_changes_nothing_when_it_wakes_behind_its_successor(
    scenes: Scenes, children: Nursery, kind: Kind
) -> None:
    scene = await scenes.new()
    await scene.begin(OWNERS)
    for line in range(6):
        await scene.write(*((owner, f"{line}") for owner in OWNERS))
    log = await _publish(scene)
    models = {f"{when} {step}": ReadModel(scene, kind, step, when) for step, when in WORKER_STEPS}
    await all_of({name: _freeze_worker(model, children, log) for name, model in models.items()})
    # The successors are still there.
    await scene.write(*((owner, "after all") for owner in OWNERS))
    log = await _publish(scene)
    await all_of({name: _check_all_applied(model, log) for name, model in models.items()})


async def _publish(scene: Scene) -> Log:
    """Publish in the order of writing, so that the diaries take turns in the log."""
    relay = relay_of(scene.place, scene.client, "publisher", Trap(None), 500)
    try:
        await relay.audit()
    finally:
        await relay.publisher.close()
    return await scene.log()


@dataclass(frozen=True, slots=True)
class ReadModel:
    """The read model of one case, in a database of its own."""

    scene: Scene
    kind: Kind
    step: str
    when: When

    @property
    def name(self) -> str:
        """Of the model, of its collection, and of its database."""
        return f"{self.kind}_{self.step}_{self.when}"

    @property
    def group(self) -> str:
        """The consumer group, without the prefix."""
        return f"{SERVICE}.{self.name}"

    @property
    def place(self) -> Place:
        """Where its workers work."""
        return replace(self.scene.place, read_model=self.name)

    async def offsets(self) -> Mapping[int, int]:
        """The committed offset of each partition that has one."""
        kafka = self.place.kafka
        found = await committed_offsets(kafka.bootstrap, kafka.topic(self.group))
        return {place.partition: offset for place, offset in found.items() if offset > 0}

    async def everything(self) -> tuple[object, ...]:
        """Documents with their revisions, transitions, and committed offsets."""
        database = self.scene.database(self.name)
        documents = await documents_in(database, self.name)
        return documents, await commits_in(database), await self.offsets()


async def _freeze_worker(model: ReadModel, children: Nursery, log: Log) -> None:
    """140 events come in fourteen batches or more, in the order of their writing.

    A partition has some seven diaries, so the fourth batch goes on with some that are there.
    """
    database = await model.scene.prepare_read_model(model.name)
    plan = Plan(model.step, model.when, 4, SIGSTOP)
    frozen = children.start(run_worker_until_woken, model.place, model.kind, plan, RECORDS_AT_ONCE)
    await frozen.stopped(PATIENCE_SECONDS)
    await check_offsets(model.place.kafka, model.group, log, database, model.name)
    children.start(run_worker, model.place, model.kind, None, RECORDS_AT_ONCE)
    await eventually(lambda: _applied(model, log), PATIENCE_SECONDS)
    before = await model.everything()
    frozen.send(SIGCONT)
    assert await frozen.ended(PATIENCE_SECONDS) == 0, frozen.tail()
    assert await model.everything() == before
    await _check_all_applied(model, log)


async def _applied(model: ReadModel, log: Log) -> bool:
    """Whether all of the topic lies below the committed offsets."""
    topic = model.place.kafka.topic(TOPIC)
    ends = {place.partition: len(log[place]) for place in log if place.topic == topic}
    return await model.offsets() == {place: end for place, end in ends.items() if end}


async def _check_all_applied(model: ReadModel, log: Log) -> None:
    """The group is at the end of the log, and the documents are the fold of it."""
    await eventually(lambda: _applied(model, log), PATIENCE_SECONDS)
    database = model.scene.database(model.name)
    await check_offsets(model.place.kafka, model.group, log, database, model.name)
    stories = await stories_in(log, keyring_of(model.place, model.scene.client))
    check = check_diaries if model.kind == "plain" else check_habits
    await check(database, model.name, stories)
