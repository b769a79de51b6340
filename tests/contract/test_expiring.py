"""Entries that are kept for a while: taken until their moment, free from then on."""

import asyncio
from datetime import timedelta

import pytest

from shared.expiring import Expiring
from shared.memory import MemoryExpiring
from shared.mongo import MongoExpiring
from shared.testing import DAY, MongoSpace

HOUR = timedelta(hours=1)


@pytest.fixture
async def entries(space: MongoSpace | None) -> Expiring:
    if space is None:
        return MemoryExpiring()
    made = MongoExpiring(space.database("customer"), "entries")
    await made.create_indexes()
    return made


# Far in the future, so that no server deletes anything by its own clock meanwhile.
NOW = DAY + timedelta(days=36_500)


async def test_an_entry_is_there_until_its_moment(entries: Expiring) -> None:
    assert await entries.get("a", NOW) is None
    assert await entries.add("a", b"1", NOW, NOW + HOUR)
    assert await entries.get("a", NOW + HOUR - timedelta(milliseconds=1)) == b"1"
    assert await entries.get("a", NOW + HOUR) is None


async def test_an_id_is_taken_while_its_entry_lives_and_free_again_after(
    entries: Expiring,
) -> None:
    assert await entries.add("a", b"1", NOW, NOW + HOUR)
    assert not await entries.add("a", b"2", NOW, NOW + 9 * HOUR)
    assert await entries.get("a", NOW) == b"1"
    assert await entries.add("a", b"3", NOW + HOUR, NOW + 2 * HOUR)
    assert await entries.get("a", NOW + HOUR) == b"3"


async def test_of_many_who_add_at_once_one_does(entries: Expiring) -> None:
    added = await asyncio.gather(
        *(entries.add("a", bytes([n]), NOW, NOW + HOUR) for n in range(20))
    )
    assert sum(added) == 1


async def test_counts_miss_nobody_and_begin_anew_after_their_moment(entries: Expiring) -> None:
    counted = await asyncio.gather(*(entries.count("a", NOW, NOW + HOUR) for _ in range(10)))
    assert sorted(counted) == list(range(1, 11))
    assert await entries.count("b", NOW, NOW + HOUR) == 1
    later = NOW + HOUR
    assert await entries.count("a", later, later + HOUR) == 1
