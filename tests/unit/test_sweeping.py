"""Timers of read models: each is handed over at its moment, whoever is killed on the way."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from shared.clock import Clock
from shared.eventstore import StoreUnavailable
from shared.memory import MemoryDocuments, MemoryLeases
from shared.readmodel import RawDocument
from shared.sweeping import Sweeper
from shared.testing import DAY
from shared.testing.collections import MemoryQuestions
from shared.testing.virtual_time import LoopClock, ended, in_virtual_time

SECOND = timedelta(seconds=1)
Mishap = Callable[[str], None]


@dataclass
class Wall:
    """Documents with timers; whoever is settled is noted once, as a stream would do."""

    clock: Clock = field(default_factory=LoopClock)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    leases: MemoryLeases = field(init=False)
    rung: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)
    before: Mishap | None = None
    after: Mishap | None = None
    reads: bool = True

    def __post_init__(self) -> None:
        self.leases = MemoryLeases(self.clock)

    async def put(self, name: str, due: datetime | None) -> None:
        known = (await self.documents.load([name])).get(name, {"_id": name, "rev": 0})
        assert not await self.documents.write([{**known, "rev": known["rev"] + 1, "due_at": due}])

    async def settle(self, found: Sequence[RawDocument], now: datetime) -> None:
        self.calls.append([raw["_id"] for raw in found])
        for raw in found:
            if self.before is not None:
                self.before(raw["_id"])
            known = {(name, due) for name, due, _ in self.rung}
            if (raw["_id"], raw["due_at"]) not in known:
                self.rung.append((raw["_id"], raw["due_at"], now))
            if self.after is not None:
                self.after(raw["_id"])
            if self.reads:
                await self.put(raw["_id"], None)

    def sweeper(self, owner: str = "a", **more: float) -> Sweeper:
        return Sweeper(
            "wall",
            MemoryQuestions(self.documents),
            self.leases,
            owner,
            self.clock,
            self.settle,
            batch=3,
            **more,  # type: ignore[arg-type]  # only numbers of seconds
        )


@in_virtual_time
async def test_each_is_handed_over_at_its_moment_and_not_before() -> None:
    wall = Wall()
    for number, seconds in enumerate((7.25, 0.1, 3.0)):
        await wall.put(f"d{number}", DAY + timedelta(seconds=seconds))
    running = asyncio.ensure_future(wall.sweeper().run())
    await asyncio.sleep(10)
    await ended([running])
    # In the order of their moments, and each in the very millisecond.
    assert [(name, now - due) for name, due, now in wall.rung] == [
        ("d1", timedelta(0)), ("d2", timedelta(0)), ("d0", timedelta(0)),
    ]  # fmt: skip


@in_virtual_time
async def test_many_of_one_moment_are_all_handed_over_though_a_page_holds_fewer() -> None:
    wall = Wall(reads=False)
    for number in range(20):
        await wall.put(f"d{number}", DAY)
    await wall.put("later", DAY + SECOND)
    await asyncio.sleep(2)
    sweeper = wall.sweeper()
    # The read model reads nothing meanwhile: all stay due, and none is handed over twice.
    assert await sweeper.sweep() == 21
    assert await sweeper.sweep() == 0
    assert sorted(name for call in wall.calls for name in call) == sorted(
        [*(f"d{number}" for number in range(20)), "later"]
    )


@in_virtual_time
async def test_one_that_stays_due_is_handed_over_again_after_a_while() -> None:
    wall = Wall(reads=False)
    await wall.put("d", DAY)
    sweeper = wall.sweeper(again_seconds=5.0)
    assert [await sweeper.sweep(), await sweeper.sweep()] == [1, 0]
    await asyncio.sleep(5.1)
    assert await sweeper.sweep() == 1
    # Another moment of the same document does not have to wait.
    await wall.put("d", DAY + SECOND)
    assert await sweeper.sweep() == 1


@in_virtual_time
async def test_one_at_a_time_sweeps_and_another_goes_on_when_it_dies() -> None:
    wall = Wall()
    owners = ("a", "b")
    tasks = [asyncio.ensure_future(wall.sweeper(owner).run()) for owner in owners]
    await asyncio.sleep(1)
    await wall.put("first", wall.clock.now() + SECOND)
    await asyncio.sleep(2)
    assert await wall.leases.holders("wall") == {"wall": "a"}
    await ended(tasks[:1])
    await wall.put("second", wall.clock.now() + SECOND)
    await asyncio.sleep(2)
    assert await wall.leases.holders("wall") == {"wall": "b"}
    assert [name for name, _, _ in wall.rung] == ["first", "second"]
    await ended(tasks[1:])


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("step", ["before", "after"])
@pytest.mark.parametrize("victim", range(7))
def test_killed_at_any_document_before_or_after_it_all_ring_once(step: str, victim: int) -> None:
    @in_virtual_time
    async def play() -> None:
        wall = Wall()
        names = [f"d{number}" for number in range(7)]
        for number, name in enumerate(names):
            await wall.put(name, DAY + timedelta(milliseconds=number // 2))
        await asyncio.sleep(1)

        def kill(name: str) -> None:
            if name == names[victim]:
                wall.before = wall.after = None
                raise Killed

        setattr(wall, step, kill)
        with pytest.raises(Killed):
            await wall.sweeper("a").sweep()
        await wall.sweeper("b").sweep()
        assert [name for name, _, _ in wall.rung] == names

    play()


@in_virtual_time
async def test_one_that_cannot_be_settled_does_not_stop_the_others() -> None:
    wall = Wall()
    for number in range(3):
        await wall.put(f"d{number}", DAY)

    def fail(name: str) -> None:
        if name == "d1":
            raise RuntimeError(name)

    wall.before = fail
    await wall.sweeper().sweep()
    assert sorted(name for name, _, _ in wall.rung) == ["d0", "d2"]


@in_virtual_time
async def test_while_the_database_is_away_it_waits_and_then_goes_on() -> None:
    wall = Wall()
    await wall.put("d", DAY + SECOND)
    away = [StoreUnavailable("away")] * 3

    def fail(_name: str) -> None:
        if away:
            raise away.pop()

    wall.before = fail
    running = asyncio.ensure_future(wall.sweeper().run())
    await asyncio.sleep(5)
    await ended([running])
    assert [name for name, _, _ in wall.rung] == ["d"]


@in_virtual_time
async def test_who_was_frozen_and_lost_the_lease_hands_nothing_more_over() -> None:
    wall = Wall(reads=False)
    for number in range(9):
        await wall.put(f"d{number}", DAY + timedelta(milliseconds=number))
    await asyncio.sleep(1)
    sweeper = wall.sweeper("a", lease_seconds=3.0)

    async def freeze(found: Sequence[RawDocument], now: datetime) -> None:
        await wall.settle(found, now)
        await asyncio.sleep(4)
        await wall.leases.acquire("wall", "b", 60)

    sweeper.settle = freeze
    running = asyncio.ensure_future(sweeper.run())
    await asyncio.sleep(20)
    await ended([running])
    assert wall.calls == [["d0", "d1", "d2"]]
