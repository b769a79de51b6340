"""What is read at most so often, and again at once where it was changed here."""

import asyncio

import pytest

from shared.eventstore import StoreUnavailable
from shared.freshness import Freshness


class Kept:
    """Something that is read in two steps of the loop; counts how often."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.freshness = Freshness(self.read, seconds)
        self.times = 0
        self.away = False

    async def read(self) -> None:
        self.times += 1
        if self.away:
            raise StoreUnavailable("away")
        await asyncio.sleep(0)


async def test_many_who_ask_at_once_cause_one_reading() -> None:
    kept = Kept()
    await asyncio.gather(*(kept.freshness.ensure() for _ in range(20)))
    await kept.freshness.ensure()
    assert kept.times == 1


async def test_it_is_read_again_once_it_is_too_old_or_whoever_asks_wants_it_as_it_is() -> None:
    kept = Kept(seconds=0.02)
    await kept.freshness.ensure()
    await asyncio.sleep(0.03)
    await kept.freshness.ensure()
    assert kept.times == 2
    await kept.freshness.renew()
    assert kept.times == 3


async def test_what_was_changed_here_is_read_at_once_also_when_the_change_overtakes_a_reading() -> (
    None
):
    kept = Kept()
    await kept.freshness.ensure()
    kept.freshness.forget()
    reading = asyncio.ensure_future(kept.freshness.ensure())
    await asyncio.sleep(0)
    assert kept.times == 2
    kept.freshness.forget()
    await reading
    await kept.freshness.ensure()
    assert kept.times == 3


async def test_a_reading_that_fails_counts_for_nothing() -> None:
    kept = Kept()
    kept.away = True
    with pytest.raises(StoreUnavailable):
        await kept.freshness.ensure()
    kept.away = False
    await kept.freshness.ensure()
    assert kept.times == 2
