"""The examples as other systems would run them, in processes that are killed on the way."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from shared.access import Role
from shared.settings import Settings
from shared.testing import LocalChain, Servers
from shared.testing.ports import free_port

pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).resolve().parents[2]
SALES = 300
SECONDS = 120.0
PAUSE_SECONDS = 0.1


def until(check: Callable[[], bool], output: Path, seconds: float = SECONDS) -> None:
    """Wait until it is so; what the process has said is shown where it never is."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, output.read_text()[-4_000:]
        time.sleep(PAUSE_SECONDS)


@dataclass(slots=True)
class Example:
    """A process that is started again and again with the same words."""

    command: Sequence[str]
    environment: dict[str, str]
    output: Path

    @contextmanager
    def running(self) -> "Iterator[subprocess.Popen[str]]":
        """The process; killed at the end of the block, if it has not ended."""
        with (
            self.output.open("a") as output,
            subprocess.Popen(
                self.command, cwd=REPOSITORY, env=self.environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output,
            ) as process,
        ):  # fmt: skip
            try:
                yield process
            finally:
                process.kill()


def environment(settings: Settings, port: int, key: str) -> dict[str, str]:
    """What a service and the examples are told."""
    names = ("kafka_url", "mongo_url", "topic_prefix", "database_prefix", "partitions",
             "master_key_file", "hmac_key_file")  # fmt: skip
    kept = {k: v for k, v in os.environ.items() if not k.startswith("REGULARS_")}
    told = {f"REGULARS_{name.upper()}": str(getattr(settings, name)) for name in names}
    return kept | told | {"REGULARS_PORT": str(port), "REGULARS_KEY": key}


def sale(number: int) -> str:
    """A receipt worth its number, of one of ten cards."""
    return json.dumps(
        {
            "identifier": {"kind": "card", "value": str(number % 10)},
            "lines": [{"product": "bread", "quantity": 1, "amount": number}],
        }
    )


def sell(till: "subprocess.Popen[str]", numbers: Sequence[int]) -> list[str]:
    """Sell, and wait until each sale is on disk; gives their ids."""
    assert till.stdin is not None
    assert till.stdout is not None
    ids = []
    for number in numbers:
        till.stdin.write(sale(number) + "\n")
        till.stdin.flush()
        ids.append(till.stdout.readline().strip())
    return ids


def counted(table: Path) -> tuple[int, int]:
    """How many facts the subscriber has counted, and what they are worth."""
    if not table.exists():
        return 0, 0
    try:
        with sqlite3.connect(table, timeout=60) as found:
            count, amount = found.execute("SELECT count(*), total(amount) FROM fact").fetchone()
    except sqlite3.OperationalError:
        # It was made a moment ago, and has no tables yet.
        return 0, 0
    return count, int(amount)


def test_a_till_and_a_subscriber_lose_nothing_and_count_once_whatever_is_killed(
    servers: Servers, tmp_path: Path
) -> None:
    chain = LocalChain(servers, tmp_path)
    port, key = free_port(), asyncio.run(chain.key(Role.SERVICE))
    settings = chain.settings(Settings)
    told = environment(settings, port, key)
    url, table = f"http://127.0.0.1:{port}", tmp_path / "spent.db"
    service = Example(
        [sys.executable, "-m", "services.interaction"], told, tmp_path / "service.log"
    )
    till = Example(
        [sys.executable, "examples/till.py", str(tmp_path / "queue.db"),
         "--url", url, "--branch", "12"],
        told,
        tmp_path / "till.log",
    )  # fmt: skip
    subscriber = Example(
        [sys.executable, "examples/subscriber.py", str(table),
         "--kafka", settings.kafka_url, "--prefix", settings.topic_prefix],
        told,
        tmp_path / "subscriber.log",
    )  # fmt: skip
    third = SALES // 3

    def answers() -> bool:
        try:
            return httpx2.get(f"{url}/livez").is_success
        except httpx2.TransportError:
            return False

    # The line is down: nothing answers there yet. Power is cut, too.
    with till.running() as selling:
        ids = sell(selling, range(third))
        selling.send_signal(signal.SIGKILL)
    with service.running() as serving, till.running() as selling:
        ids += sell(selling, range(third, 2 * third))
        until(answers, service.output)
        with subscriber.running():
            until(lambda: counted(table)[0] > 0, subscriber.output)
        # Killed in the midst of it, all three.
        selling.send_signal(signal.SIGKILL)
        serving.send_signal(signal.SIGKILL)
    with service.running(), till.running() as selling, subscriber.running():
        ids += sell(selling, range(2 * third, SALES))
        assert selling.stdin is not None
        selling.stdin.close()
        until(lambda: selling.poll() is not None, till.output)
        assert selling.returncode == 0, till.output.read_text()
        until(lambda: counted(table)[0] >= SALES, subscriber.output)
    assert len(set(ids)) == SALES
    # 0 + 1 + … + 299
    assert counted(table) == (SALES, SALES * (SALES - 1) // 2)
    with sqlite3.connect(tmp_path / "queue.db") as queue:
        assert queue.execute("SELECT count(*) FROM sale").fetchone() == (0,)
        assert queue.execute("SELECT * FROM refused").fetchall() == []
