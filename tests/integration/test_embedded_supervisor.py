"""Children come back when killed, are given up when hopeless, and never outlive their owner."""

import asyncio
import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psutil
import pytest

from deploy.embedded.errors import ChildFailedError
from deploy.embedded.supervisor import Child, RestartLimit, Supervisor

QUICK = RestartLimit(restarts=3, seconds=60, first_wait=0.01, longest_wait=0.02)
LEASHES: list[Literal["exec", "watch"]] = ["exec", "watch"]


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", textwrap.dedent(code))


SLEEPER = python("import time; time.sleep(60)")
STUBBORN = python(
    """
    import signal, time, pathlib
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path("deaf").touch()
    time.sleep(60)
    """
)


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("leash", LEASHES)
async def test_a_killed_child_comes_back(tmp_path: Path, leash: Literal["exec", "watch"]) -> None:
    async with Supervisor(tmp_path, QUICK, leash=leash) as supervisor:
        await supervisor.start(Child("sleeper", SLEEPER))
        first = supervisor.pid("sleeper")
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.pid("sleeper") != first)
        second = supervisor.pid("sleeper")
        assert (tmp_path / "pids" / "sleeper").read_text() == f"{second}\n"
    assert is_gone(second)
    assert not (tmp_path / "pids" / "sleeper").exists()


async def test_a_child_that_keeps_dying_stops_all_and_names_its_log(tmp_path: Path) -> None:
    async with Supervisor(tmp_path, QUICK) as supervisor:
        await supervisor.start(Child("steady", SLEEPER))
        steady = supervisor.pid("steady")
        await supervisor.start(Child("hopeless", python("raise SystemExit('no luck today')")))
        async with asyncio.timeout(10):
            failure = await supervisor.failed()
            await supervisor.stop()
        assert is_gone(steady)
    # 3 restarts are allowed, so the 4th end is one too many
    assert "hopeless ended 4 times within 60 s" in str(failure)
    assert str(tmp_path / "logs" / "hopeless.log") in str(failure)
    assert "no luck today" in str(failure)


async def test_a_child_that_ends_while_starting_is_not_restarted(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(tmp_path, QUICK) as supervisor:
        with pytest.raises(ChildFailedError, match="ended with code 3 while starting"):
            await supervisor.start(Child("short", python("raise SystemExit(3)"), ready=never))
        with pytest.raises(ChildFailedError, match="was not ready within 0 s"):
            await supervisor.start(Child("idle", SLEEPER, ready=never, ready_seconds=0.2))


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(tmp_path, QUICK) as supervisor:
        with pytest.raises(ChildFailedError, match="no-such-program: No such file"):
            await supervisor.start(Child("missing", ("no-such-program",), ready=never))


@pytest.mark.parametrize("leash", LEASHES)
async def test_a_child_deaf_to_sigterm_is_killed(
    tmp_path: Path, leash: Literal["exec", "watch"]
) -> None:
    kept = []
    supervisor = Supervisor(tmp_path, QUICK, leash=leash)
    child = Child(
        "stubborn",
        STUBBORN,
        folder=tmp_path,
        stop_seconds=0.3,
        stopped=lambda: kept.append("ended by itself"),
    )
    await supervisor.start(child)
    await until((tmp_path / "deaf").exists)
    family = psutil.Process(supervisor.pid("stubborn"))
    pids = [family.pid, *(child.pid for child in family.children(recursive=True))]
    began = time.monotonic()
    await supervisor.stop()
    assert time.monotonic() - began < 3
    await until(lambda: all(is_gone(pid) for pid in pids))
    assert kept == []


async def test_children_end_before_what_they_lean_on(tmp_path: Path) -> None:
    ended = []

    def child(name: str, layer: int) -> Child:
        return Child(name, SLEEPER, layer=layer, stopped=lambda: ended.append(name))

    async with Supervisor(tmp_path, QUICK) as supervisor:
        await supervisor.start(child("database", 0))
        await supervisor.start(child("service", 1))
    assert ended == ["service", "database"]


async def test_what_runs_once_must_end_well(tmp_path: Path) -> None:
    async with Supervisor(tmp_path, QUICK) as supervisor:
        await supervisor.run_to_end(Child("good", python("print('done')")))
        with pytest.raises(ChildFailedError, match="bad ended with code 1"):
            await supervisor.run_to_end(Child("bad", python("raise SystemExit(1)")))


async def test_children_are_refused_outside_of_the_main_thread(tmp_path: Path) -> None:
    caught: list[str] = []

    async def start() -> None:
        async with Supervisor(tmp_path, QUICK) as supervisor:
            await supervisor.start(Child("sleeper", SLEEPER))

    def run() -> None:
        try:
            asyncio.run(start())
        except RuntimeError as error:
            caught.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(caught) == 1
    assert "main thread" in caught[0]


OWNER = """
    import asyncio, sys
    from pathlib import Path
    from deploy.embedded.supervisor import Child, Supervisor

    SLEEPER = (sys.executable, "-S", "-c", "import os, time; print(os.getpid(), flush=True);"
               "time.sleep(60)")

    async def own():
        supervisor = Supervisor(Path(sys.argv[1]), leash=sys.argv[2])
        await supervisor.start(Child("sleeper", SLEEPER))
        await asyncio.sleep(60)

    asyncio.run(own())
"""


@pytest.mark.parametrize("leash", LEASHES)
async def test_no_child_outlives_a_killed_owner(tmp_path: Path, leash: str) -> None:
    code = textwrap.dedent(OWNER)
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(tmp_path), leash)
    log = tmp_path / "logs" / "sleeper.log"
    await until(lambda: log.exists() and log.read_text().endswith("\n"))
    sleeper = int(log.read_text())
    assert not is_gone(sleeper)
    owner.kill()
    await owner.wait()
    await until(lambda: is_gone(sleeper), seconds=5)
