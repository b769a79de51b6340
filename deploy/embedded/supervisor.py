"""Owns child processes: starts them, knows when they are ready, restarts, ends them.

What must hold: no child outlives the supervisor's process, whatever kills that (see leash.py);
a child that dies comes back with the same command, and so on the same data and port; one that
keeps dying stops everything with a message that names its log, since half a stack misleads.

Children are started from the main thread only: on Linux the kernel ties their leash to the
thread that forked them, and a worker thread may end while the process lives on.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

from deploy.embedded.errors import ChildFailedError
from deploy.embedded.probes import Probe

LEASH: Final = Path(__file__).with_name("leash.py")
LOG_ROTATE_BYTES: Final = 20_000_000
TAIL_LINES: Final = 15
PATIENCE_SECONDS: Final = 3.0  # after that a person waiting for the end is told why

log = logging.getLogger("regulars.embedded")


@dataclass(frozen=True, slots=True)
class Child:
    """What to run: the command is the same at every restart.

    `environment` is complete, nothing is added to it. `ready` is asked until it says True, for
    at most `ready_seconds`; without one a child counts as ready once started. `stop_seconds`
    lie between SIGTERM and SIGKILL. `stopped` runs when it ended within them. Children of one
    `layer` end at the same time, those of a higher one before those that they lean on.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: Path | None = None
    ready: Probe | None = None
    ready_seconds: float = 60.0
    stop_seconds: float = 10.0
    stopped: Callable[[], None] | None = None
    layer: int = 1


@dataclass(frozen=True, slots=True)
class RestartLimit:
    """At most `restarts` within `seconds`; waits between them double from first to longest."""

    restarts: int = 5
    seconds: float = 60.0
    first_wait: float = 0.1
    longest_wait: float = 5.0


class _Running:
    def __init__(self, child: Child, process: asyncio.subprocess.Process) -> None:
        self.child = child
        self.process = process
        self.ready = asyncio.Event()
        self.ends: deque[float] = deque()
        self.watcher: asyncio.Task[None] | None = None


class Supervisor:
    """The owner of some children; use it as an async context, from the main thread.

    `folder` gets `logs/<name>.log` and, for whoever wants to signal a child from outside,
    `pids/<name>`. `keep_open` are descriptors that children inherit.
    """

    def __init__(
        self,
        folder: Path,
        limit: RestartLimit | None = None,
        keep_open: Sequence[int] = (),
        leash: Literal["exec", "watch"] = "exec" if sys.platform == "linux" else "watch",
    ) -> None:
        """Prepare; nothing runs before `start`."""
        self._logs = folder / "logs"
        self._pids = folder / "pids"
        self._limit = limit or RestartLimit()
        self._keep_open = tuple(keep_open)
        self._leash = leash
        self._children: list[_Running] = []
        self._stopping = asyncio.Event()
        self._failed = asyncio.Event()
        self._failure: ChildFailedError | None = None
        self._stop_task: asyncio.Task[None] | None = None

    async def start(self, child: Child) -> None:
        """Start a child and wait until it is ready; raises ChildFailedError when it never is."""
        process = await self._spawn(child)
        running = _Running(child, process)
        running.watcher = asyncio.create_task(self._watch(running), name=f"watch {child.name}")
        self._children.append(running)
        await self._until_ready(running)
        running.ready.set()

    async def run_to_end(self, child: Child) -> None:
        """Run a child that ends by itself; raises ChildFailedError unless it ends with 0."""
        process = await self._spawn(child)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        finally:
            (self._pids / child.name).unlink(missing_ok=True)
        if code != 0:
            raise ChildFailedError(self._explain(child, f"ended with code {code}"))

    def pid(self, name: str) -> int:
        """The process id that the child has at this moment."""
        return next(r.process.pid for r in self._children if r.child.name == name)

    def log_path(self, name: str) -> Path:
        """Where the child's output goes."""
        return self._logs / f"{name}.log"

    async def failed(self) -> ChildFailedError:
        """Wait until a child was given up, and return why; everything is being stopped then."""
        await self._failed.wait()
        if self._failure is None:
            raise AssertionError
        return self._failure

    async def stop(self) -> None:
        """End all children, the highest layer first: SIGTERM, then SIGKILL. Safe to repeat."""
        if self._stop_task is None:
            self._stopping.set()
            self._stop_task = asyncio.create_task(self._end_all())
        await asyncio.shield(self._stop_task)

    async def __aenter__(self) -> Self:
        """Nothing runs yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def _spawn(self, child: Child) -> asyncio.subprocess.Process:
        if threading.current_thread() is not threading.main_thread():
            message = "children must be started from the main thread (see leash.py)"
            raise RuntimeError(message)
        self._logs.mkdir(parents=True, exist_ok=True)
        self._pids.mkdir(parents=True, exist_ok=True)
        path = self.log_path(child.name)
        _rotate(path)
        leash = (sys.executable, "-I", "-S", str(LEASH), self._leash, str(os.getpid()))
        with path.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *leash,
                *child.command,
                env=dict(child.environment),
                cwd=child.folder,
                # In watch mode our end of this pipe, closed by our death, is the leash.
                stdin=asyncio.subprocess.PIPE
                if self._leash == "watch"
                else asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=self._keep_open,
                # A Ctrl-C in the terminal is for the supervisor, which ends them in order.
                start_new_session=True,
            )
        draft = self._pids / f"{child.name}.tmp"
        draft.write_text(f"{process.pid}\n")
        draft.replace(self._pids / child.name)
        return process

    async def _until_ready(self, running: _Running) -> None:
        child = running.child
        deadline = time.monotonic() + child.ready_seconds
        pause = 0.02
        while child.ready is not None:
            if self._failure is not None:
                raise self._failure
            if running.watcher is None or running.watcher.done() or self._stopping.is_set():
                code = running.process.returncode
                raise ChildFailedError(
                    self._explain(child, f"ended with code {code} while starting")
                )
            if await child.ready():
                return
            if time.monotonic() >= deadline:
                lasted = f"was not ready within {child.ready_seconds:.0f} s"
                raise ChildFailedError(self._explain(child, lasted))
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.2)

    async def _watch(self, running: _Running) -> None:
        child = running.child
        while True:
            code = await running.process.wait()
            self._sweep(running)
            if self._stopping.is_set() or not running.ready.is_set():
                return
            now = time.monotonic()
            running.ends.append(now)
            while running.ends[0] < now - self._limit.seconds:
                running.ends.popleft()
            count = len(running.ends)
            if count > self._limit.restarts:
                self._give_up(running, code)
                return
            wait = min(self._limit.first_wait * 2 ** (count - 1), self._limit.longest_wait)
            log.warning("%s ended with code %s; restarting in %.1f s", child.name, code, wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)
            if self._stopping.is_set():
                return
            try:
                running.process = await self._spawn(child)
            except OSError as error:
                log.error("%s cannot be started again: %s", child.name, error)  # noqa: TRY400 - no trace helps here
                self._give_up(running, code)
                return
            if self._stopping.is_set():
                self._signal(running, signal.SIGKILL)

    def _give_up(self, running: _Running, code: int) -> None:
        limit = self._limit
        often = (
            f"ended {len(running.ends)} times within {limit.seconds:.0f} s, last with code "
            f"{code}; everything is being stopped"
        )
        self._failure = ChildFailedError(self._explain(running.child, often))
        self._failed.set()
        self._stopping.set()
        self._stop_task = self._stop_task or asyncio.create_task(self._end_all())

    def _explain(self, child: Child, what: str) -> str:
        path = self.log_path(child.name)
        lines = path.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        tail = "\n".join(f"    {line}" for line in lines)
        return f"{child.name} {what}. The end of its log, {path}:\n{tail}"

    async def _end_all(self) -> None:
        for layer in sorted({running.child.layer for running in self._children}, reverse=True):
            leaving = [r for r in self._children if r.child.layer == layer]
            await asyncio.gather(*(self._end(running) for running in leaving))
        self._children.clear()

    async def _end(self, running: _Running) -> None:
        watcher = running.watcher
        if watcher is None:
            return
        self._signal(running, signal.SIGTERM)
        patience = min(PATIENCE_SECONDS, running.child.stop_seconds)
        done, _ = await asyncio.wait({watcher}, timeout=patience)
        if not done and running.child.stop_seconds > patience:
            log.warning("%s is still finishing its work", running.child.name)
            rest = running.child.stop_seconds - patience
            done, _ = await asyncio.wait({watcher}, timeout=rest)
        if not done:
            log.warning("%s did not end by itself; killing it", running.child.name)
            self._signal(running, signal.SIGKILL)
            await asyncio.wait({watcher})
        elif running.child.stopped is not None:
            running.child.stopped()
        (self._pids / running.child.name).unlink(missing_ok=True)

    def _signal(self, running: _Running, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if running.process.returncode is None:
                running.process.send_signal(number)
        if number is signal.SIGKILL:
            self._sweep(running)

    def _sweep(self, running: _Running) -> None:
        """End what a killed `watch` leash left behind: its group is all that names it."""
        if self._leash == "watch":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(running.process.pid, signal.SIGKILL)


def _rotate(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_ROTATE_BYTES:
            path.replace(path.with_suffix(".log.1"))
