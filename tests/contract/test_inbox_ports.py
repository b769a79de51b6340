"""A waiting place and dead letters, each in both of its forms."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.clock import ManualClock
from shared.dead_letters import DeadLetter, DeadLetters
from shared.decider import FieldError
from shared.kafka import DEAD_LETTERS, INBOX, KafkaDeadLetters, KafkaUrl, ensure_topics
from shared.memory import MemoryDeadLetters, MemoryWaitingPlace
from shared.mongo import MongoWaitingPlace
from shared.testing import DAY, MongoSpace
from shared.testing.kafka_log import producing
from shared.waiting import Waiter, WaitingPlace
from tests.contract.conftest import Pass

Room = tuple[WaitingPlace, Pass]
LARGE = 1_000_000
"""Bytes: close to the most that an inbox takes."""


def waiter(name: str, content: bytes = b"\x00\xff") -> Waiter:
    return Waiter(
        id=name,
        content=content,
        waits_for=f"customer|{name}",
        reason="unknown-customer",
        topic="inbox",
        partition=1,
        offset=2,
        timestamp=3,
    )


@pytest.fixture
async def room(space: MongoSpace | None) -> Room:
    """An empty waiting place, and what lets time pass for it."""
    if space is not None:
        place = MongoWaitingPlace(space.database("interaction"), "inbox_waiting")
        await place.create_indexes()
        return place, asyncio.sleep
    clock = ManualClock(DAY)

    async def advance(seconds: float) -> None:
        clock.advance(timedelta(seconds=seconds))

    return MemoryWaitingPlace(clock), advance


async def test_who_waits_is_looked_at_at_once_and_again_after_a_pause(room: Room) -> None:
    place, advance = room
    await place.admit([waiter("a"), waiter("b"), waiter("c")])
    assert [each.id for each in await place.due(2)] == ["a", "b"]
    await place.postpone({"a": 1.0, "b": 60.0, "nobody": 1.0})
    assert [each.id for each in await place.due(9)] == ["c"]
    await advance(1.1)
    found = await place.due(9)
    assert {each.id for each in found} == {"a", "c"}
    (kept,) = (each for each in found if each.id == "a")
    assert kept.age >= 1.0
    assert (kept.content, kept.waits_for, kept.timestamp) == (b"\x00\xff", "customer|a", 3)


async def test_who_waits_already_stays_and_who_is_released_is_gone(room: Room) -> None:
    place, advance = room
    await place.admit([])
    await place.admit([waiter("a")])
    await place.postpone({"a": 60.0})
    await advance(0.1)
    await place.admit([waiter("a", b"other"), waiter("b")])
    assert [each.id for each in await place.due(9)] == ["b"]
    assert await place.count() == 2
    await place.release(["a", "b", "nobody"])
    await place.release([])
    assert await place.count() == 0


@pytest.fixture(params=["memory", "kafka"])
async def letters(request: pytest.FixtureRequest) -> AsyncIterator[DeadLetters]:
    """No dead letters yet."""
    if request.param == "memory":
        yield MemoryDeadLetters()
        return
    url = KafkaUrl(request.getfixturevalue("kafka_url"), request.getfixturevalue("kafka_prefix"))
    await ensure_topics(url, 3)
    dead = KafkaDeadLetters(url, INBOX, DEAD_LETTERS)
    yield dead
    await dead.close()


def dead(number: int, value: bytes | None = b"\xff{") -> DeadLetter:
    return DeadLetter(
        topic="interaction.inbox.v1",
        partition=2,
        offset=number,
        timestamp=1_000 + number,
        key=None if number % 2 else b"\xfe",
        value=value,
        reason="invalid",
        title="The input is not valid.",
        errors=(FieldError("lines.0.amount", "should be a whole number"),) if number else (),
    )


async def test_dead_letters_are_there_as_they_were_buried(letters: DeadLetters) -> None:
    buried = [dead(0), dead(1, None), dead(2, bytes(LARGE))]
    await letters.bury([])
    await letters.bury(buried[:2])
    await letters.bury(buried[2:])
    found = await letters.listed(0, 10)
    assert [(each.place, each.letter) for each in found] == list(enumerate(buried))
    assert [each.place for each in await letters.listed(1, 1)] == [1]
    assert await letters.listed(3, 10) == []


async def test_dead_letters_are_sent_again_from_where_the_last_time_ended(
    letters: DeadLetters,
) -> None:
    await letters.bury([dead(0), dead(1)])
    first = await letters.replay(0)
    assert (first.count, first.next) == (2, 2)
    assert (await letters.replay(first.next)).count == 0
    await letters.bury([dead(2)])
    assert (await letters.replay(first.next)).count == 1


async def test_what_somebody_else_puts_among_them_is_shown_all_the_same(
    kafka_url: str, kafka_prefix: str
) -> None:
    url = KafkaUrl(kafka_url, kafka_prefix)
    await ensure_topics(url, 3)
    topic = url.topic(DEAD_LETTERS)
    async with producing(kafka_url) as producer:
        await producer.send_and_wait(topic, b"x", headers=[("reason", None), ("origin", b"\xff")])
    (found,) = await KafkaDeadLetters(url, INBOX, DEAD_LETTERS).listed(0, 10)
    assert (found.letter.reason, found.letter.value) == ("unknown", b"x")
    assert (found.letter.topic, found.letter.offset) == (topic, 0)
