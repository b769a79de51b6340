"""The five minutes of the README, as somebody would paste them, after a demo of few households."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.client import Chain, connect
from deploy.demo.dataset import load
from deploy.demo.definitions import AS_OF, FIELDS, SEGMENTS
from deploy.installation import ChainSettings, Running, remember, running
from deploy.keys import read_owner_key

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
REGULARS = [sys.executable, "-c", "from deploy.cli import app; app()"]
HOUSEHOLDS = 4
"""The README asks for the customer with the external id 4."""
SECONDS = 120
MAKE = re.compile(r"^make [a-z]+$", re.MULTILINE)


def snippets() -> list[str]:
    """The shell of *Five minutes*, in its order, but for the command that starts it all."""
    section = README.partition("\n## Five minutes\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [block for block in found if not MAKE.match(block)]


def pasted(blocks: list[str]) -> str:
    """One script: each block announced by its number, and the first failure ends it."""
    begin = [f"echo; echo '=== {number}'\n{block}" for number, block in enumerate(blocks)]
    return "\n".join(["set -eo pipefail", *begin])


def environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("REGULARS_")}
    return kept | {"REGULARS_HOME": str(home)}


def logs(home: Path) -> str:
    return "".join(
        "".join(path.read_text(errors="replace").splitlines(keepends=True)[-5:])
        for path in sorted((home / "logs").glob("*.log"))
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that is up, and has lived the year of a few households."""
    folder = tmp_path_factory.mktemp("readme") / "home"
    remember(folder, ChainSettings(clock_frozen_at=AS_OF, households=str(HOUSEHOLDS)))
    with subprocess.Popen(
        [*REGULARS, "up"], cwd=REPOSITORY, env=environment(folder),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as up:  # fmt: skip
        try:
            asyncio.run(live(folder, await_running(folder, up)))
            yield folder
        finally:
            up.send_signal(signal.SIGINT)
            try:
                up.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                up.kill()


def await_running(home: Path, up: "subprocess.Popen[str]") -> Running:
    end = time.monotonic() + SECONDS
    while (found := running(home)) is None:
        assert up.poll() is None, logs(home)
        assert time.monotonic() < end, logs(home)
        time.sleep(0.1)
    return found


async def live(home: Path, found: Running) -> None:
    """What the five minutes need of a demo: segments, customers, and their year."""
    data = load(HOUSEHOLDS)
    key = read_owner_key(home)
    async with asyncio.timeout(SECONDS), connect(found.urls, key) as chain:
        for name, definition in FIELDS.items():
            await chain.put("customer", f"/v1/configuration/fields/{name}", definition)
        for name, segment in SEGMENTS.items():
            await chain.put("segment", f"/v1/segments/{name}", segment)
        await chain.batch("customer", "/v1/customers/batch", list(data.customers()))
        begin = {"id": "year", "title": "A year"}
        await chain.post("interaction", "/v1/imports", begin, "begin")
        await caught_up(chain, "customer", "interaction")
        receipts = list(data.receipts())
        await chain.batch("interaction", "/v1/receipts/batch", receipts, import_id="year")
        end = {"facts": len(receipts)}
        await chain.post("interaction", "/v1/imports/year/end", end, "end")
        await caught_up(chain, "interaction", "segment")


async def caught_up(chain: Chain, *services: str) -> None:
    """Wait until the services say so, twice with nothing written in between."""
    before: list[int] = []
    while True:
        reports = [await chain.get(name, "/v1/progress") for name in services]
        commits = [report["commits"] for report in reports]
        done = all(report["caught_up"] for report in reports)
        if done and commits == before:
            return
        before = commits if done else []
        await asyncio.sleep(0.5)


@pytest.mark.e2e
def test_the_five_minutes_run_as_they_are_written(home: Path) -> None:
    blocks = snippets()
    done = subprocess.run(
        ["bash", "-c", pasted(blocks)],  # noqa: S607 - the shell of whoever runs the tests
        cwd=REPOSITORY, env=environment(home), capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + logs(home)
    shown = re.split(r"^=== \d+\n", done.stdout, flags=re.MULTILINE)[1:]
    assert len(shown) == len(blocks), done.stdout
    _, found, spent, defined, members, imported, pages, killed = shown
    assert '"kind": "external"' in found
    # Household 4 has 18 baskets in the year.
    assert '"receipts": 18' in spent
    assert '"kind": "history"' in spent
    assert '"sentence": "bought ≥ 3 times within 60 days of ≥ 20.00 each"' in defined
    assert all(re.fullmatch(r"[0-9a-f-]{36}", line) for line in members.split())
    # Tried out, then recorded; and the two rows of one receipt.
    assert done.stderr.count("new: 1") == 3
    assert '"name": "Ivanova Anna"' in imported
    assert "segment.entered.v1" in pages
    assert "0 caught" in pages
    assert '"ready":true' in killed
    assert '"service": "segment"' in killed
