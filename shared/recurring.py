"""Work that is done again and again while the process lives, whether the database answers or not.

A turn that the database fails is told of, and the next one tries again. Any other failure ends the
task, and with it the process, since nobody would see that the work is not done any more.
"""

import asyncio
from collections.abc import Awaitable, Callable

from shared.eventstore import StoreUnavailable


async def again_and_again(
    work: Callable[[], Awaitable[object]],
    seconds: float,
    warn: Callable[..., object],
    *,
    longer: float = 0.0,
) -> None:
    """Do it until cancelled, with a pause of so many seconds behind each turn.

    While the database is away `warn` is given the `reason`, and the pause is `longer` by so much.
    """
    while True:
        pause = seconds
        try:
            await work()
        except StoreUnavailable as failure:
            warn(reason=str(failure))
            pause += longer
        await asyncio.sleep(pause)
