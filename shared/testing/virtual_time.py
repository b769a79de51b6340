"""Time that passes only while everybody waits: an hour of leases and retries takes a moment.

    @in_virtual_time
    async def test_...() -> None: ...

Nothing real may be waited for inside: no thread, no socket, no other process. Tasks run in the same
order each time, so a failure that was found under a seed is found again (`PYTHONHASHSEED` has to be
the same where sets are gone through).
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from shared.clock import to_milliseconds
from shared.testing.doubles import DAY

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")
BEGINNING = 100_000.0
"""What a loop's time begins with: like a machine that has been up for a day."""


class _Skipping(selectors.SelectSelector):
    """Instead of waiting, moves the loop's time forward by what it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGINNING

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits, and nothing can ever happen")
            self.now += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while all tasks wait."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        """`BEGINNING`, and the seconds that have passed since."""
        return self._skipping.now


def in_virtual_time(
    test: Callable[ParamsT, Coroutine[Any, Any, None]],
) -> Callable[ParamsT, None]:
    """The test as a plain function that runs on a virtual loop of its own."""

    @functools.wraps(test)
    def run(*args: ParamsT.args, **kwargs: ParamsT.kwargs) -> None:
        at_once(test(*args, **kwargs))

    return run


def at_once(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """What the work gives, on a virtual loop of its own."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)


@dataclass(frozen=True, slots=True)
class LoopClock:
    """Both clocks of a virtual loop; that of this machine is off by `skew`."""

    began: datetime = DAY
    skew: timedelta = field(default=timedelta(0))

    def now(self) -> datetime:
        """The chain's time."""
        return self.system_now()

    def system_now(self) -> datetime:
        """The machine's time."""
        seconds = asyncio.get_running_loop().time() - BEGINNING
        return to_milliseconds(self.began + self.skew + timedelta(seconds=seconds))

    def at_system(self, moment: datetime) -> datetime:
        """The moment itself: nothing is shifted."""
        return to_milliseconds(moment)


async def ended(tasks: "Sequence[asyncio.Task[None]]") -> None:
    """Cancel the tasks and wait for their ends; raises what one of them died of."""
    for task in tasks:
        task.cancel()
    for end in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(end, Exception):
            raise end
