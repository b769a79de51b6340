"""What profiles have let go of is brought back on real servers, though a worker is killed."""

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from services.segment.main import SegmentSettings
from services.segment.main import build as build_segment
from shared.events.contract import show_moment
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.ports import free_port
from tests.integration.test_interaction_process import (
    START_SECONDS,
    environment,
    readiness,
)

Json = Any
NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
COUNT = {"kind": "receipts", "aggregate": "count", "compare": {"op": ">=", "value": 1}}


async def registered(customers: httpx2.AsyncClient, name: str) -> None:
    body = {"surname": name, "identifiers": [{"kind": "external", "value": name}]}
    answer = await customers.post("/v1/customers", json=body)
    assert answer.status_code == 201, answer.text


async def bought(facts: httpx2.AsyncClient, name: str, at: datetime) -> None:
    receipt = {
        "source_id": name,
        "branch": "12",
        "time": show_moment(at),
        "identifier": {"kind": "external", "value": name},
        "lines": [{"product": "tea", "quantity": 1, "amount": 1000}],
    }
    answer = await facts.post("/v1/receipts", json=receipt)
    assert answer.is_success, answer.text


async def test_a_rule_that_looks_back_further_has_its_members_though_a_worker_is_killed(
    chain: LocalChain,
) -> None:
    frozen: Json = {"clock_frozen_at": NOW}
    own = chain.settings(SegmentSettings, **frozen, profile_horizon=timedelta(days=10))
    async with (
        chain.running(build_customer, chain.settings(Settings, **frozen)) as customer,
        chain.running(build_interaction, chain.settings(InteractionSettings, **frozen)) as facts,
        chain.running(build_segment, own) as segment,
    ):
        for days in (3, 100, 200, 300, 400, 450, 600, 700):
            await registered(customer, f"c{days}")
            await bought(facts, f"c{days}", NOW - timedelta(days=days))

        async def shown(name: str, **wanted: Json) -> Json:
            async def so() -> Json:
                found = (await segment.get(f"/v1/segments/{name}")).json()
                found["stage"] = (found["evaluation"] or {}).get("stage")
                return found if {key: found[key] for key in wanted} == wanted else None

            return await eventually(so)

        near: Json = {"title": "Near", "rule": {**COUNT, "within": "P5D"}}
        assert (await segment.put("/v1/segments/near", json=near)).is_success
        await shown("near", members=1, stage="finished")
        port = free_port()
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.segment", "--role", "worker"), cwd=ROOT,
            env=environment(chain, port)
            | {"REGULARS_PROFILE_HORIZON": "P10D", "REGULARS_CLOCK_FROZEN_AT": NOW.isoformat()},
            stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await eventually(lambda: readiness(port), START_SECONDS)
            far: Json = {"title": "Far", "rule": {**COUNT, "within": "P500D"}}
            assert (await segment.put("/v1/segments/far", json=far)).is_success
            worker.send_signal(signal.SIGKILL)
        finally:
            if worker.returncode is None:
                worker.kill()
            await worker.wait()
        # All but those of 600 and 700 days ago.
        await shown("far", members=6, stage="finished", trial=None)
        await shown("near", members=1, entered=1, exited=0)
