"""Processes of one test, which end with it, and with the process that runs the test.

They are forked from a server that has imported everything, since importing takes seconds. A child
that was stopped dies like the others: the kernel kills it when the server is gone.
"""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
END_SECONDS = 10.0
TAIL_BYTES = 4_000


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    # pytest too: children import the main module of the process that runs the test.
    context.set_forkserver_preload(["tests.faults.workers", "pytest"])
    return context


@dataclass(slots=True)
class Child:
    """One process, and the file that its output goes to."""

    process: ForkServerProcess
    output: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def killed(self) -> bool:
        """Whether it was ended by SIGKILL."""
        return self.process.exitcode == -signal.SIGKILL

    @property
    def alive(self) -> bool:
        """Whether it has not ended; a stopped one has not."""
        return self.process.exitcode is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it is still there."""
        if self.alive:
            os.kill(self.pid, number)

    async def ended(self, seconds: float) -> int:
        """Its exit code (minus the signal), once it has ended by itself."""
        async with asyncio.timeout(seconds):
            while (code := self.process.exitcode) is None:
                await asyncio.sleep(0.02)
        return code

    async def stopped(self, seconds: float) -> None:
        """Wait until it has stopped itself. Raises when it ends instead."""
        async with asyncio.timeout(seconds):
            while psutil.Process(self.pid).status() != psutil.STATUS_STOPPED:
                assert self.alive, f"ended with {self.process.exitcode}:\n{self.tail()}"
                await asyncio.sleep(0.02)

    def tail(self) -> str:
        """The end of what it has written."""
        return self.output.read_bytes()[-TAIL_BYTES:].decode(errors="replace")


@dataclass(slots=True)
class Nursery:
    """Starts children, and holds them."""

    folder: Path
    children: list[Child] = field(default_factory=list)
    _context: ForkServerContext = field(default_factory=_context)

    def start(self, work: Callable[..., None], *arguments: object) -> Child:
        """Run a function of an importable module in a process of its own."""
        output = self.folder / f"{len(self.children)}-{work.__name__}.log"
        output.touch()
        process = self._context.Process(
            target=_run, args=(work, str(output), *arguments), daemon=True
        )
        process.start()
        child = Child(process, output)
        self.children.append(child)
        return child

    def end(self) -> None:
        """Kill all that are left."""
        for child in self.children:
            if child.alive:
                child.process.kill()
        for child in self.children:
            child.process.join(END_SECONDS)
            assert not child.alive

    def tails(self) -> str:
        """What all of them have said last."""
        return "\n".join(f"--- {child.output.name}\n{child.tail()}" for child in self.children)


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """Children for as long as the block lasts; their output is shown when it fails."""
    found = Nursery(folder)
    try:
        yield found
    except BaseException:
        sys.stderr.write(found.tails())
        raise
    finally:
        found.end()


def _run(work: Callable[..., None], output: str, *arguments: object) -> None:
    """Begin as a child: tied to the life of the server, with output of its own."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    work(*arguments)
