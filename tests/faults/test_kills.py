"""Killed with SIGKILL before, during or after any step, and started again: nothing is lost.

Each step is a scene of its own; all of them run at once, because most of the time is spent waiting
for leases and group sessions of the dead to expire.
"""

import asyncio
from dataclasses import replace
from typing import Literal, get_args

import pytest

from tests.faults.children import Nursery
from tests.faults.invariants import (
    check_commits,
    check_diaries,
    check_habits,
    check_offsets,
    commits_in,
    stories_in,
)
from tests.faults.scenes import PATIENCE_SECONDS, Scene, Scenes, all_of, eventually
from tests.faults.workers import (
    SERVICE,
    Plan,
    When,
    keyring_of,
    run_relay,
    run_worker,
    run_writer,
)

pytestmark = pytest.mark.faults

Step = tuple[str, When]
Kind = Literal["plain", "stepped"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RELAY_STEPS: dict[str, list[Step]] = {
    "publishing": [("publish", "before"), ("publish", "during"), ("publish", "after")],
    "saving": [("save", "before"), ("save", "during"), ("save", "after")],
    "the rest": [("acquire", "after"), ("read", "after"), ("progress", "after")],
}
WORKER_STEPS: list[Step] = [
    ("load", "before"),
    ("load", "after"),
    ("write", "during"),
    ("write", "after"),
    ("commit", "before"),
    ("commit", "after"),
    ("park", "before"),
    ("park", "after"),
]
OWNERS = [f"owner-{number}" for number in range(30)]
BROKEN = "owner-7"
LOCKED_SECONDS = 60.0
"""`transactionLifetimeLimitSeconds`: how long a forgotten transaction is kept."""


async def test_a_relay_killed_at_any_step_is_followed_by_one_that_publishes_all_in_order(
    scenes: Scenes, children: Nursery
) -> None:
    await all_of(
        {name: _kill_relays(await scenes.new(), children, steps)
         for name, steps in RELAY_STEPS.items()}
    )  # fmt: skip


async def _kill_relays(scene: Scene, children: Nursery, steps: list[Step]) -> None:
    """At each step once while it audits, once while it tails; then one that lives."""
    owners = OWNERS[:5]
    for step, when in steps:
        await scene.forget_token()
        await scene.write(*((owner, "before") for owner in owners))
        # A lease is asked for once, if that of the dead one has expired by then.
        for count in (1, 1 if step == "acquire" else 4):
            plan = Plan(step, when, count)
            child = children.start(run_relay, scene.place, str(plan), plan, 4)
            async with asyncio.timeout(60):
                while child.alive:
                    await scene.write(*((owner, f"{count} {scene.written}") for owner in owners))
                    await asyncio.sleep(0.3)
            assert child.killed, f"{plan}: {child.tail()}"
            await scene.check_prefix()
    await scene.write(*((owner, "after") for owner in owners))
    children.start(run_relay, scene.place, "last", None)
    await eventually(scene.check_relayed)


async def test_a_worker_killed_at_any_step_is_followed_by_one_that_applies_all_once(
    scenes: Scenes, children: Nursery
) -> None:
    # Whoever is killed within a transaction leaves its documents locked for a minute, until the
    # server gives it up; nothing of a successor's can shorten that.
    scene = await _with_diaries(scenes)
    await all_of(
        {f"{kind}: {when} {step}": _kill_worker(scene, children, kind, step, when)
         for kind in KINDS for step, when in WORKER_STEPS}
    )  # fmt: skip


async def _with_diaries(scenes: Scenes) -> Scene:
    """Thirty diaries of a name and twelve lines, one of them broken in the middle."""
    scene = await scenes.new()
    await scene.begin(OWNERS)
    for line in range(12):
        await scene.write(
            *(
                (owner, f"!{line}" if (owner, line) == (BROKEN, 6) else f"{line}")
                for owner in OWNERS
            )
        )
    await scene.publish()
    return scene


async def _kill_worker(scene: Scene, children: Nursery, kind: Kind, step: str, when: When) -> None:
    name = f"{kind}_{step}_{when}"
    group = f"{SERVICE}.{name}"
    place = replace(scene.place, read_model=name)
    database = await scene.prepare_read_model(name)
    log = await scene.log()
    plan = Plan(step, when, 1 if step == "park" else 3)
    child = children.start(run_worker, place, kind, plan)
    await child.ended(60)
    assert child.killed, child.tail()
    await check_offsets(place.kafka, group, log, database, name)
    children.start(run_worker, place, kind, None)
    await eventually(lambda: scene.applied(group, log), LOCKED_SECONDS + PATIENCE_SECONDS)
    stories = await stories_in(log, keyring_of(place, scene.client))
    check = check_diaries if kind == "plain" else check_habits
    await check(database, name, stories)


@pytest.mark.parametrize("when", ["before", "during", "after"])
async def test_a_writer_killed_while_it_appends_sends_the_same_again_and_each_counts_once(
    scenes: Scenes, children: Nursery, when: When
) -> None:
    scene = await scenes.new()
    lines = {f"w|{owner}|{line}": (owner, f"{line}") for line in range(5) for owner in OWNERS}
    killed = children.start(run_writer, scene.place, Plan("append", when, 3), lines)
    await killed.ended(60)
    assert killed.killed, killed.tail()
    again = children.start(run_writer, scene.place, None, lines)
    assert await again.ended(60) == 0, again.tail()
    commits = await commits_in(scene.database())
    check_commits(commits)
    commands = {mark.id for commit in commits for mark in commit.commands}
    assert commands == lines.keys()
    # Thirty diaries of five lines each.
    assert sum(len(commit.events) for commit in commits) == 150
