"""Work that is done again and again: what ends it, and how long it waits."""

import asyncio

import pytest

from shared.eventstore import StoreUnavailable
from shared.recurring import again_and_again

SECONDS, LONGER = 0.02, 0.06


class Work:
    """Fails as it is told to, turn after turn, and is done for good behind the last of them."""

    def __init__(self, *fails: Exception | None) -> None:
        self.fails = list(fails)
        self.at: list[float] = []
        self.reasons: list[str] = []
        self.done = asyncio.Event()

    async def turn(self) -> None:
        self.at.append(asyncio.get_running_loop().time())
        if not self.fails:
            self.done.set()
        elif (failure := self.fails.pop(0)) is not None:
            raise failure

    def warn(self, *, reason: str) -> None:
        self.reasons.append(reason)

    async def until_done(self) -> list[float]:
        """Gives the pauses between the turns."""
        task = asyncio.create_task(again_and_again(self.turn, SECONDS, self.warn, longer=LONGER))
        await asyncio.wait_for(self.done.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [after - before for before, after in zip(self.at, self.at[1:], strict=False)]


async def test_while_the_database_is_away_it_is_tried_again_and_told_each_time() -> None:
    work = Work(StoreUnavailable("no primary"), StoreUnavailable("no route"), None)
    await work.until_done()
    assert work.reasons == ["no primary", "no route"]
    assert len(work.at) == 4


async def test_it_pauses_behind_each_turn_and_longer_behind_one_that_failed() -> None:
    plain, failed = await Work(None, StoreUnavailable("away")).until_done()
    # A loop's clock may say that a timer is due a little early.
    assert plain >= SECONDS * 0.9
    assert failed >= (SECONDS + LONGER) * 0.9


async def test_any_other_failure_ends_it() -> None:
    work = Work(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        await again_and_again(work.turn, SECONDS, work.warn)
    assert work.reasons == []
