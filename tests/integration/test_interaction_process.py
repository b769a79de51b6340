"""The service as a process of its own: it comes up in its role, and ends in good order."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from services.interaction.consumers import PROJECTIONS
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.ports import free_port

START_SECONDS = 120.0
"""A busy machine may need long to import everything."""
ROOT = Path(__file__).resolve().parents[2]


def environment(chain: LocalChain, port: int) -> dict[str, str]:
    """Of this process, with the chain's settings as an operator would set them."""
    settings = chain.settings(Settings, port=port)
    names = set(type(settings).model_fields) & settings.model_fields_set
    return os.environ | {f"REGULARS_{name.upper()}": str(getattr(settings, name)) for name in names}


@asynccontextmanager
async def process(
    chain: LocalChain, role: str, port: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service in a role, its output in a pipe; gone at the end, whatever happens."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.interaction", "--role", role),
        cwd=ROOT,
        env=environment(chain, port),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def readiness(port: int) -> httpx2.Response | None:
    async with httpx2.AsyncClient() as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}/readyz")
        except httpx2.TransportError:
            return None
    return answer if answer.is_success else None


@pytest.mark.parametrize(
    ("role", "checks"),
    [
        ("api", set()),
        (
            "all",
            {"interaction.totals_v2", "relay"}
            | {f"interaction.{projection.name}" for projection in PROJECTIONS},
        ),
    ],
)
async def test_a_process_runs_its_role_and_stops_when_it_is_asked_to(
    chain: LocalChain, role: str, checks: set[str]
) -> None:
    port = free_port()
    async with process(chain, role, port) as running:
        ready = await eventually(lambda: readiness(port), START_SECONDS)
        assert set(ready.json()["checks"]) == {"database", "broker", "open imports"} | checks
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            _, log = await running.communicate()
    # It was not the signal that ended it: it came to its own end, behind the last of its parts.
    assert running.returncode == 0
    assert b'"event":"stopped"' in log
