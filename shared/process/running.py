"""A process in its roles: serve HTTP, consume, relay; watched, and ended in good order.

Every task is watched: one that fails, or is cancelled though nobody told it to end, ends the
process with the error, and whoever supervises it starts it again. On SIGTERM or SIGINT the server
stops taking requests, projectors finish the batch in hand and leave their groups, reactions are
given time, and the relay lets its lease go.
"""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, get_args

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI

from shared.projector import Projector
from shared.relay import Relay
from shared.watched import watched

Role = Literal["api", "worker", "relay", "all"]
ROLES: tuple[Role, ...] = get_args(Role)
GRACE_SECONDS = 15.0
GC_THRESHOLD = 100_000

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class Parts:
    """What runs in this process; `tasks` run until cancelled, `closing` is awaited at the end."""

    app: FastAPI
    host: str
    port: int
    projectors: Sequence[Projector] = ()
    relay: Relay | None = None
    tasks: Sequence[Callable[[], Awaitable[None]]] = ()
    closing: Sequence[Callable[[], Awaitable[None]]] = field(default_factory=tuple)


class _Ended(Exception):  # noqa: N818 - carries nothing but the wish to stop
    """The server has stopped: so does the rest."""


def run(build: Callable[[], Awaitable[Parts]]) -> None:
    """Build the parts on a fresh event loop and run them to their end."""
    gc.set_threshold(GC_THRESHOLD)
    uvloop.run(_run(build))


async def _run(build: Callable[[], Awaitable[Parts]]) -> None:
    parts = await build()
    # What was made at start lives as long as the process: the collector need not look at it.
    gc.freeze()
    try:
        async with asyncio.TaskGroup() as group:
            for projector in parts.projectors:
                group.create_task(watched(projector.run()), name=projector.group)
            if parts.relay is not None:
                group.create_task(watched(parts.relay.run()), name="relay")
            for task in parts.tasks:
                group.create_task(watched(task()))
            group.create_task(_serve(parts))
    except* _Ended:
        log.info("stopped")
    finally:
        for close in parts.closing:
            await close()


class _Server(uvicorn.Server):
    """Stops on a signal and tells nobody.

    Its own way raises the signal again once the server has stopped, which would end the process
    before projectors and relay have come to their ends.
    """

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take signals from here on to the end of the process: a second one hurries the server."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def _serve(parts: Parts) -> None:
    config = uvicorn.Config(
        parts.app,
        host=parts.host,
        port=parts.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=int(GRACE_SECONDS),
    )
    await _Server(config).serve()
    await _settle(parts.projectors)
    raise _Ended


async def _settle(projectors: Sequence[Projector]) -> None:
    """Let each finish its batch, for as long as the grace lasts."""
    for projector in projectors:
        projector.stop()
    for _ in range(int(GRACE_SECONDS / 0.1)):
        if not any(projector.ready for projector in projectors):
            return
        await asyncio.sleep(0.1)
