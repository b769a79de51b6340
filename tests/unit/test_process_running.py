"""A process in its roles: every task is watched, whatever it ends by."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator

import pytest
from fastapi import FastAPI

from shared.process.running import Parts, run
from shared.watched import CancelledByNobody

pytestmark = pytest.mark.timeout(60)
FAILURE = "it broke"


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


async def _dropped() -> None:
    """Wait for something that a library drops: its future is cancelled, the task is not."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.cancel)
    await future


async def _broken() -> None:
    raise RuntimeError(FAILURE)


async def _waiting() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("work", "fault"), [(_dropped, CancelledByNobody), (_broken, RuntimeError)]
)
def test_a_task_that_ends_by_itself_ends_the_process(
    work: Callable[[], Awaitable[None]], fault: type[Exception]
) -> None:
    closed = []

    async def close() -> None:
        closed.append(True)

    async def build() -> Parts:
        app = FastAPI(docs_url=None)
        return Parts(app, "127.0.0.1", 0, tasks=(_waiting, work), closing=(close,))

    with pytest.raises(ExceptionGroup) as caught:
        run(build)
    assert [type(each) for each in caught.value.exceptions] == [fault]
    assert closed
