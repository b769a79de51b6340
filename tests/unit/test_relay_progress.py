"""Progress: what a relay says that nobody can have missed must never be too much."""

import asyncio
from datetime import datetime

from shared.envelope import decode_light
from shared.eventstore import Append, Commit
from shared.testing.virtual_time import ended, in_virtual_time
from tests.unit.relaying import PARTITIONS, SECOND, TOPIC, TOPICS, World, publisher_of, running

Promise = tuple[datetime, set[str]]
"""W of a progress record, and the ids of the events below its offsets."""


async def _append_late(world: World, owner: str, seconds: float) -> None:
    """Begin a diary; the insert takes so long."""
    before = len(world.store.commits)
    await world.write((owner, "late"))
    late = world.store.commits[before:]
    del world.store.commits[before:]
    await asyncio.sleep(seconds)
    world.store.commits += late


@in_virtual_time
async def test_progress_is_told_each_second_also_while_nothing_happens() -> None:
    world = World()
    async with running(world.relay()):
        await asyncio.sleep(10.5)
    told = [record.system for record in world.kafka.progress]
    assert told == sorted(told)
    # Once at the start, then each second.
    assert 9 <= len(told) <= 12
    # W is at most a second old and two more, the deadline of an append, behind.
    assert world.clock.system_now() - told[-1] <= 4 * SECOND


@in_virtual_time
async def test_all_that_was_recorded_before_w_lies_below_its_offsets() -> None:
    world = World()
    writers = []

    async def check() -> None:
        checked = 0
        while True:
            await asyncio.sleep(0.05)
            for record in world.kafka.progress[checked:]:
                _check_progress(world, record.offsets)
                below = {
                    event
                    for partition, end in record.offsets[TOPIC].items()
                    for event in _ids(world, partition, end)
                }
                promised.append((record.system, below))
            checked = len(world.kafka.progress)

    promised: list[Promise] = []
    async with running(world.relay(batch_size=3)):
        checking = asyncio.create_task(check())
        for number in range(60):
            # As slow as the deadline allows, and as quick as it gets.
            slow = 1.9 if number % 3 == 0 else 0.0
            writers.append(asyncio.create_task(_append_late(world, f"{number}", slow)))
            await asyncio.sleep(0.37)
        await asyncio.gather(*writers)
        await asyncio.sleep(4)
        await ended([checking])
    assert len(promised) >= 20
    for until, below in promised:
        recorded = {
            f"{commit.stream}@{commit.version}"
            for commit in world.store.commits
            if commit.recorded_at < until
        }
        assert recorded <= below


def _ids(world: World, partition: int, end: int) -> list[str]:
    return [decode_light(record.value).id for record in world.kafka.log(TOPIC, partition)[:end]]


def _check_progress(world: World, offsets: dict[str, dict[int, int]]) -> None:
    assert set(offsets) == set(TOPICS)
    for topic, ends in offsets.items():
        assert set(ends) == set(range(PARTITIONS))
        for partition, end in ends.items():
            assert end <= len(world.kafka.log(topic, partition))


@in_virtual_time
async def test_a_feed_that_was_just_opened_proves_nothing_by_being_empty() -> None:
    world = World()
    async with running(world.relay()):
        await asyncio.sleep(2)
    await world.write(("anna", "1"))
    written = world.clock.system_now()
    await asyncio.sleep(60)
    relay = world.relay("b")

    async def freeze(step: str) -> None:
        if step == "publish":
            await asyncio.Event().wait()

    publisher_of(relay).at = freeze
    before = len(world.kafka.progress)
    async with running(relay):
        await asyncio.sleep(5)
        # The line is read and cannot be published: nothing recorded since is proven.
        assert all(record.system <= written for record in world.kafka.progress[before:])


@in_virtual_time
async def test_commits_that_keep_coming_prove_only_what_was_recorded_before_the_last() -> None:
    world = World()
    relay = world.relay(batch_size=1)
    async with running(relay):
        await asyncio.sleep(2)
        began = world.clock.system_now()
        for number in range(30):
            world.store.append_now(_plain(world, number))

        async def slowly(step: str) -> None:
            if step == "publish":
                await asyncio.sleep(1)

        publisher_of(relay).at = slowly
        await asyncio.sleep(20)
        # Twenty seconds of publishing what was recorded at one moment: W is before that moment.
        assert world.kafka.progress[-1].system <= began - SECOND
        await asyncio.sleep(15)
        assert world.kafka.progress[-1].system > began


def _plain(world: World, number: int) -> Append:
    text = (
        f'{{"type":"customer.registered.v1","stream":"customer-{number}","streamversion":1,'
        '"time":"2017-12-01T09:30:00Z","recordedtime":"2017-12-01T09:30:00Z","data":{}}'
    )
    now = world.clock.system_now()
    return Append(Commit(f"customer-{number}", 1, 1, f"{number}", now, (), (text,)))
