"""An outbox: every letter at least once, to one at a time, and never again once it is settled."""

import asyncio
from datetime import timedelta

import pytest

from shared.clock import ManualClock
from shared.memory import MemoryOutbox
from shared.mongo import MongoOutbox
from shared.outbox import Letter, Outbox
from shared.testing import DAY, MongoSpace
from tests.contract.conftest import Pass

LETTERS = [Letter(id=name, url="https://x/", body="{}", about="d", key="k") for name in "abc"]
Room = tuple[Outbox, Pass]


@pytest.fixture
async def room(space: MongoSpace | None) -> Room:
    """An empty outbox, and what lets time pass for it."""
    if space is not None:
        outbox = MongoOutbox(space.database("customer"), "webhooks")
        await outbox.create_indexes()
        return outbox, asyncio.sleep
    clock = ManualClock(DAY)

    async def advance(seconds: float) -> None:
        clock.advance(timedelta(seconds=seconds))

    return MemoryOutbox(clock), advance


async def test_a_letter_is_taken_by_one_and_by_another_when_its_time_is_over(room: Room) -> None:
    outbox, advance = room
    await outbox.put(LETTERS)
    taken = await outbox.take(2, 2)
    assert [each.id for each in taken] == ["a", "b"]
    assert [each.id for each in await outbox.take(60, 5)] == ["c"]
    await advance(2.1)
    again = await outbox.take(60, 5)
    assert {each.id for each in again} == {"a", "b"}
    # Whoever was frozen meanwhile settles nothing.
    assert not await outbox.settle(taken[0])
    assert not await outbox.postpone(taken[0], 0)
    assert await outbox.settle(again[0])
    assert await outbox.waiting() == 2


async def test_a_letter_is_put_once_and_stays_settled(room: Room) -> None:
    outbox, _ = room
    await outbox.put(LETTERS[:1])
    (letter,) = await outbox.take(60, 5)
    assert (letter.url, letter.key, letter.attempts) == ("https://x/", "k", 0)
    assert await outbox.settle(letter)
    await outbox.put(LETTERS[:2])
    assert [each.id for each in await outbox.take(60, 5)] == ["b"]
    await outbox.put([])
    assert not await outbox.settle(letter)


async def test_a_letter_that_is_postponed_counts_its_attempts(room: Room) -> None:
    outbox, advance = room
    await outbox.put(LETTERS[:1])
    (letter,) = await outbox.take(60, 5)
    # Long enough for a slow server to answer within it.
    assert await outbox.postpone(letter, 2)
    assert await outbox.take(60, 5) == []
    await advance(2.1)
    (letter,) = await outbox.take(60, 5)
    assert letter.attempts == 1
