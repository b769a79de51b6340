"""Side by side: all are done, never too many at once, and a fault is seen as what it is."""

import asyncio

import pytest

from shared.eventstore import StoreUnavailable
from shared.side_by_side import side_by_side


async def test_all_are_done_and_never_more_than_allowed_at_once() -> None:
    running, most, done = 0, 0, []

    async def work(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done.append(number)

    await side_by_side(work, range(7), 3)
    assert (sorted(done), most) == (list(range(7)), 3)


async def test_the_first_fault_is_raised_as_itself_after_the_others_have_ended() -> None:
    ended = []

    async def work(number: int) -> None:
        if number == 1:
            raise StoreUnavailable
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(number)

    with pytest.raises(StoreUnavailable):
        await side_by_side(work, range(5), 2)
    # The place of the failed one was taken at once; the two behind it have not begun.
    assert ended == [0, 2]
