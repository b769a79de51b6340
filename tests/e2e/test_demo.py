"""The demo as a newcomer runs it, on 20 households, against a plain recomputation."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.installation import running
from deploy.keys import read_owner_key
from tests.e2e.recomputed import Expected, differences, expected

HOUSEHOLDS = 20
SECONDS = 420
TIMES = ("seconds", "per_second")
REGULARS = [sys.executable, "-c", "from deploy.cli import app; app()"]
# Four services and their servers start twice, on whatever machine there is.
pytestmark = pytest.mark.timeout(3 * SECONDS)


class Home:
    """A home folder, and commands run in it as a person would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith("REGULARS_CLOCK")}
        self.environment = kept | {"REGULARS_HOME": str(folder)}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*REGULARS, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
            process.wait()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def demo(self) -> dict[str, Any]:
        done = self.run("demo", "--households", str(HOUSEHOLDS), "--json")
        assert done.returncode == 0, done.stderr + self.logs()
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def pid(self, name: str) -> int | None:
        try:
            return int((self.folder / "pids" / name).read_text())
        except FileNotFoundError:
            return None

    def logs(self) -> str:
        return "".join(
            "".join(path.read_text(errors="replace").splitlines(keepends=True)[-5:])
            for path in sorted((self.folder / "logs").glob("*.log"))
        )


def figures(report: dict[str, Any]) -> dict[str, Any]:
    """The report without what no two runs share."""
    return {name: value for name, value in report.items() if name not in TIMES}


@pytest.fixture(scope="module")
def right() -> Expected:
    """What the parquet files say."""
    return expected(HOUSEHOLDS)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, Any]]:
    """A home after one demo, and its report."""
    home = Home(tmp_path_factory.mktemp("demo home") / "regulars")
    return home, home.demo()


def test_the_figures_are_those_of_the_files(
    lived: tuple[Home, dict[str, Any]], right: Expected
) -> None:
    _, report = lived
    assert differences(report, right) == []


def test_a_second_run_finds_everything_there_and_adds_nothing(
    lived: tuple[Home, dict[str, Any]],
) -> None:
    home, report = lived
    assert figures(home.demo()) == figures(report)


def test_another_number_of_households_in_the_same_home_is_refused(
    lived: tuple[Home, dict[str, Any]],
) -> None:
    home, _ = lived
    done = home.run("demo", "--households", str(HOUSEHOLDS + 1))
    assert done.returncode == 1
    assert f"a demo of HOUSEHOLDS={HOUSEHOLDS}; asked for is" in " ".join(done.stderr.split())


def test_members_of_a_past_moment_are_those_who_were_in_then(
    lived: tuple[Home, dict[str, Any]], right: Expected
) -> None:
    home, _ = lived
    done = home.run("segment", "members", "lapsed-30", "--at", "2017-07-01T00:00:00Z", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    there = right.members("lapsed-30", datetime(2017, 7, 1, tzinfo=UTC))
    assert answer["segment"] == "lapsed-30"
    assert answer["at"] == "2017-07-01T00:00:00.000Z"
    assert answer["count"] == len(answer["members"]) == len(there)
    assert len(set(answer["members"])) == len(there)


@pytest.mark.parametrize("victim", ["demo", "segment", "kafka", "mongo"])
def test_killed_in_the_middle_and_started_again_it_ends_with_the_same_figures(
    victim: str, tmp_path: Path, right: Expected
) -> None:
    home = Home(tmp_path / "home")
    process = home.start("demo", "--households", str(HOUSEHOLDS), "--json")
    try:
        _await_receipts(home, process)
        pid = process.pid if victim == "demo" else home.pid(victim)
        assert pid is not None
        assert process.poll() is None, "the demo ended before anything was killed"
        os.kill(pid, signal.SIGKILL)
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.wait()
    if victim == "demo":
        assert process.returncode == -signal.SIGKILL
    else:
        # The supervisor brought it back: this very run must have come to its end.
        assert process.returncode == 0, err + home.logs()
        assert differences(json.loads(out), right) == []
    assert differences(home.demo(), right) == []


def _await_receipts(home: Home, process: "subprocess.Popen[str]") -> None:
    """Wait until receipts are recorded: the year is then being sent, or about to be lived."""
    end = time.monotonic() + SECONDS
    while _recorded(home.folder) == 0:
        assert process.poll() is None, "the demo ended before it began"
        assert time.monotonic() < end
        time.sleep(0.05)


def _recorded(folder: Path) -> int:
    """Receipts that the running interaction service has in its totals; 0 while it cannot tell."""
    found = running(folder)
    if found is None:
        return 0
    url, key = found.urls["interaction"], read_owner_key(folder)
    try:
        answer = httpx2.get(f"{url}/v1/totals", headers={"Authorization": f"Bearer {key}"})
    except httpx2.TransportError:
        return 0
    receipts: int = answer.json()["receipts"] if answer.is_success else 0
    return receipts
