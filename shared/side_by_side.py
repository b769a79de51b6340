"""Work that is done side by side, whose first fault is the fault of all.

A `TaskGroup` wraps faults into a group, which no caller that waits for one kind of fault would
recognise: a database that does not answer would look like a fault of the program.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

ItemT = TypeVar("ItemT")


async def side_by_side(
    work: Callable[[ItemT], Awaitable[None]], items: Iterable[ItemT], at_once: int
) -> None:
    """Do the work for all items, at most `at_once` of them at a time.

    Raises the fault of the one that failed first, as it is, after the others were cancelled and
    have ended.
    """
    slots = asyncio.Semaphore(at_once)

    async def in_turn(item: ItemT) -> None:
        async with slots:
            await work(item)

    tasks = [asyncio.create_task(in_turn(item)) for item in items]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
