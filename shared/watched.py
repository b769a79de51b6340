"""Tasks that live as long as their group: none of them ends without being missed."""

import asyncio
from collections.abc import Awaitable


class CancelledByNobody(Exception):  # noqa: N818 - what happened, whose fault it is is not known
    """A task met a cancellation that was not its own, as from a future that a library dropped."""


async def watched(work: Awaitable[None]) -> None:
    """Do the work. Raises what it raises, and `CancelledByNobody`.

    A `TaskGroup` takes a cancelled task for one that was told to end, and goes on without it.
    """
    try:
        await work
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        message = f"{task.get_name()} was cancelled by nobody"
        raise CancelledByNobody(message) from cancelled
