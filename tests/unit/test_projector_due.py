"""Whose timer is due is asked seldom, and a look that takes its time keeps nobody waiting."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from shared.eventstore import StoreUnavailable
from shared.memory import MemoryDocuments
from shared.projector import due as module
from shared.projector.due import DueDocuments
from shared.testing import DAY
from shared.testing.virtual_time import in_virtual_time

SECOND = timedelta(seconds=1)
SOON = DAY + SECOND


@dataclass(slots=True)
class Watched(MemoryDocuments):
    """Documents whose looks for due ones are counted, take `seconds`, and may fail."""

    looks: int = 0
    seconds: float = 0.0
    away: bool = False

    async def due(self, partitions: Sequence[int], before: datetime, limit: int) -> Sequence[str]:
        self.looks += 1
        await asyncio.sleep(self.seconds)
        if self.away:
            raise StoreUnavailable("away")
        return await MemoryDocuments.due(self, partitions, before, limit)


@dataclass(slots=True)
class Watch:
    """Who is due in a collection of timers."""

    documents: Watched = field(default_factory=Watched)
    due: DueDocuments = field(init=False)

    def __post_init__(self) -> None:
        self.due = DueDocuments(self.documents)

    async def put(self, name: str, at: datetime | None = DAY, partition: int = 0) -> None:
        """Write a document, or write it anew."""
        known = (await self.documents.load([name])).get(name, {"rev": 0})
        raw = {"_id": name, "rev": known["rev"] + 1, "partition": partition}
        assert not await self.documents.write([{**raw, "due_at": at}])

    async def found(
        self,
        count: int = 10,
        *,
        before: datetime = SOON,
        blocked: Collection[str] = (),
        patience: float = 1.0,
        partitions: Collection[int] = (0,),
    ) -> list[str]:
        """Look, then take so many."""
        if not await self.due.look(partitions, before, blocked, patience):
            return []
        return [raw["_id"] for raw in await self.due.take(partitions, before, count)]


async def watch_of(count: int) -> Watch:
    watch = Watch()
    for number in range(count):
        await watch.put(f"o{number}", DAY + number * SECOND / 1_000)
    return watch


async def test_what_one_look_has_found_is_enough_for_many_slices() -> None:
    watch = await watch_of(25)
    slices = [await watch.found(10) for _ in range(3)]
    assert slices == [
        [f"o{number}" for number in numbers]
        for numbers in (range(10), range(10, 20), range(20, 25))
    ]
    assert watch.documents.looks == 1
    assert not watch.due.more


async def test_whoever_is_not_due_any_more_when_their_turn_comes_is_passed_over() -> None:
    watch = await watch_of(4)
    assert await watch.found(1) == ["o0"]
    await watch.put("o1", None)
    await watch.put("o2", SOON)
    assert await watch.found(3) == ["o3"]
    # Until the moment itself has passed, which is another look.
    assert await watch.found(before=SOON + SECOND) == ["o0", "o3", "o2"]


async def test_whoever_is_gone_meanwhile_is_passed_over() -> None:
    watch = await watch_of(2)
    assert await watch.found(1) == ["o0"]
    await watch.documents.drop()
    assert await watch.found(1) == []


async def test_whoever_is_remembered_of_a_partition_that_is_not_asked_for_waits() -> None:
    watch = await watch_of(1)
    await watch.put("elsewhere", partition=1)
    assert await watch.found(1, partitions=(0, 1)) == ["o0"]
    assert await watch.found(1, partitions=(0,)) == []
    assert await watch.found(partitions=(1,)) == ["elsewhere"]


@in_virtual_time
async def test_a_look_that_takes_long_is_taken_beside_who_asks_and_only_once() -> None:
    watch = await watch_of(1)
    watch.documents.seconds = 5.0
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await watch.found(patience=2.0) == []
    assert (loop.time() - began, watch.due.more) == (2.0, True)
    # There is no time left at all: it is asked whether the look is over.
    assert await watch.found(patience=-1.0) == []
    assert await watch.found(patience=4.0) == ["o0"]
    assert (loop.time() - began, watch.documents.looks) == (5.0, 1)


async def test_more_than_can_be_remembered_are_found_by_the_next_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 3)
    watch = await watch_of(4)
    assert await watch.found() == ["o0", "o1", "o2"]
    assert watch.due.more
    for number in range(3):
        await watch.put(f"o{number}", None)
    assert await watch.found() == ["o3"]
    assert not watch.due.more


async def test_those_that_are_blocked_stand_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 2)
    watch = await watch_of(5)
    # Two more are remembered, since the first two may be nobody's to wake.
    assert await watch.found(blocked={"o0", "o1"}) == ["o0", "o1", "o2", "o3"]


async def test_nothing_is_remembered_of_partitions_that_have_changed_hands() -> None:
    watch = await watch_of(2)
    assert await watch.found(1) == ["o0"]
    watch.due.forget()
    assert not watch.due.more
    await watch.put("o0", None)
    assert await watch.found() == ["o1"]
    assert watch.documents.looks == 2


@in_virtual_time
async def test_a_look_under_way_ends_when_partitions_change_hands() -> None:
    watch = await watch_of(1)
    watch.documents.seconds = 5.0
    assert await watch.found(patience=1.0) == []
    watch.due.forget()
    assert not watch.due.more
    assert await watch.found(patience=6.0) == ["o0"]
    assert watch.documents.looks == 2


@in_virtual_time
async def test_a_look_that_failed_is_said_to_who_comes_again_and_taken_again() -> None:
    watch = await watch_of(1)
    watch.documents.seconds, watch.documents.away = 2.0, True
    assert await watch.found(patience=1.0) == []
    with pytest.raises(StoreUnavailable):
        await watch.found(patience=2.0)
    watch.documents.away = False
    assert await watch.found(patience=3.0) == ["o0"]
    # One that failed and that nobody asks for any more is nobody's fault.
    watch.documents.away = True
    assert await watch.found(patience=1.0) == []
    await asyncio.sleep(5.0)
    watch.due.forget()
    assert not watch.due.more
