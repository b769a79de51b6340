"""Who was shown contacts: counted within a limit, and written down."""

import asyncio
from datetime import timedelta

import pytest

from shared.memory import MemoryReveals
from shared.mongo import MongoReveals
from shared.reveals import Reveal, Reveals
from shared.testing import DAY, MongoSpace

UNTIL = DAY + timedelta(days=36_500)


@pytest.fixture
async def reveals(space: MongoSpace | None) -> Reveals:
    if space is None:
        return MemoryReveals()
    made = MongoReveals(space.database("customer"))
    await made.create_indexes()
    return made


async def test_a_limit_is_reached_and_not_passed(reveals: Reveals) -> None:
    taken = [await reveals.take("anna|12", 3, 10, UNTIL) for _ in range(4)]
    # 3, 6 and 9 are within 10; 12 is not, and counts nothing, so that 10 still is.
    assert taken == [True, True, True, False]
    assert await reveals.take("anna|12", 1, 10, UNTIL)
    assert not await reveals.take("anna|12", 1, 10, UNTIL)
    assert await reveals.take("boris|12", 10, 10, UNTIL)
    assert not await reveals.take("clara|12", 11, 10, UNTIL)


async def test_of_many_at_once_as_many_get_in_as_the_limit_says(reveals: Reveals) -> None:
    taken = await asyncio.gather(*(reveals.take("anna|12", 1, 5, UNTIL) for _ in range(12)))
    assert sum(taken) == 5


async def test_lines_are_read_newest_first_by_caller(reveals: Reveals) -> None:
    lines = [
        Reveal(f"{number}", DAY, "anna" if number % 2 else "boris", "search", ("c1", "c2"))
        for number in range(5)
    ]
    for line in lines:
        await reveals.note(line)
    newest = await reveals.page(by=None, before=None, limit=3)
    assert newest == lines[:1:-1]
    assert await reveals.page(by=None, before="2", limit=3) == lines[1::-1]
    assert await reveals.page(by="anna", before=None, limit=3) == [lines[3], lines[1]]
