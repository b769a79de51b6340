"""Points on real servers: they follow receipts and merges, tills race, and timers survive kills."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from shared.events.contract import show_moment
from shared.settings import Settings
from shared.testing import LocalChain, eventually

Json = Any
NOW = datetime(2018, 1, 2, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
RULES = {"rates": [{"percent": 1000}], "point_value": 1, "payable_percent": 10_000}


@dataclass(frozen=True, slots=True)
class Shops:
    """The two services, as the owner calls them, and one more process of tills."""

    customer: httpx2.AsyncClient
    interaction: httpx2.AsyncClient
    other: httpx2.AsyncClient

    async def register(self, name: str, *cards: str) -> str:
        """A new customer, known to the interaction service too."""
        identifiers = [{"kind": "card", "value": card} for card in cards]
        body = {"surname": name, "identifiers": identifiers}
        answer = await self.customer.post("/v1/customers", json=body)
        assert answer.status_code == 201, answer.text
        customer: str = answer.json()["id"]
        await eventually(lambda: self.balance(customer))
        return customer

    async def balance(self, customer: str) -> Json:
        """What the customer has; None while the interaction service does not know of them."""
        answer = await self.interaction.get(f"/v1/customers/{customer}/points")
        return answer.json() if answer.status_code == 200 else None

    async def has(self, customer: str, usable: int) -> None:
        """Wait until the customer has so many points."""

        async def found() -> bool | None:
            balance = await self.balance(customer)
            return True if balance and balance["usable"] == usable else None

        await eventually(found)

    async def post(self, path: str, body: Json) -> Json:
        """The answer to a request that must succeed."""
        answer = await self.interaction.post(path, json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def buy(self, number: str, card: str, *amounts: int, **more: object) -> None:
        """A receipt of somebody's card."""
        lines = [{"product": "tea", "quantity": 1, "amount": amount} for amount in amounts]
        await self.post(
            "/v1/receipts",
            {
                "source_id": number,
                "branch": "12",
                "time": show_moment(NOW),
                "identifier": {"kind": "card", "value": card},
                "lines": lines,
                **more,
            },
        )


@pytest.fixture
async def shops(chain: LocalChain) -> AsyncIterator[Shops]:
    """Services of this test alone, with rules; the chain's clock stands still."""
    customer = chain.settings(Settings, clock_frozen_at=NOW)
    interaction = chain.settings(InteractionSettings, clock_frozen_at=NOW)
    async with (
        chain.running(build_customer, customer) as customers,
        chain.running(build_interaction, interaction) as interactions,
        chain.running(build_interaction, interaction, "api") as other,
    ):
        shops = Shops(customers, interactions, other)
        assert (await interactions.put("/v1/points/rules", json=RULES)).status_code == 200
        yield shops


async def test_points_follow_receipts_returns_adoption_and_merges(shops: Shops) -> None:
    anna, bea = await shops.register("Ivanova", "1001"), await shops.register("Abramova", "1002")
    await shops.buy("1", "1001", 400, 600)
    await shops.buy("2", "1002", 500)
    await shops.has(anna, 100)
    await shops.has(bea, 50)
    back = {
        "source_id": "3",
        "branch": "12",
        "time": show_moment(NOW),
        "receipt": {"source_id": "1"},
        "lines": [{"line": 2, "quantity": 1}],
    }
    await shops.post("/v1/returns", back)
    await shops.has(anna, 40)
    # A receipt of somebody unknown earns once its card is somebody's.
    await shops.buy("4", "1003", 1000)
    eva = await shops.register("Petrova", "1003")
    await shops.has(eva, 100)
    merged = await shops.customer.post(f"/v1/customers/{bea}/merge", json={"into": anna})
    assert merged.status_code == 200, merged.text
    await shops.has(anna, 90)
    spend = {"receipt": "5", "branch": "12", "points": 30, "total": 600}
    kept = await shops.post(f"/v1/customers/{bea}/points/spendings", spend)
    assert (kept["customer"], kept["usable"]) == (anna, 60)
    await shops.buy("5", "1002", 600, points_spent=30)
    # 60, and 10 % of the 570 that points did not pay.
    await shops.has(anna, 117)
    reverted = await shops.customer.post(
        f"/v1/customers/{bea}/merge/revert", headers={"If-Match": "*"}
    )
    assert reverted.status_code == 200, reverted.text

    async def apart() -> bool | None:
        both = [(await shops.balance(each))["usable"] for each in (anna, bea)]
        # Of Bea's 50 at most 30 were spent. The receipt that came later is Anna's, or Bea's where
        # the till's card had not been read as Anna's yet.
        later = 57 if both[1] > 50 else 0
        return True if sum(both) == 117 and 20 <= both[1] - later <= 50 else None

    await eventually(apart)
    ledger = (await shops.interaction.get(f"/v1/customers/{bea}/points/ledger")).json()["items"]
    assert ledger[0]["kind"] == "moved_in"


async def test_two_tills_that_spend_at_once_never_spend_too_much(shops: Shops) -> None:
    anna = await shops.register("Ivanova", "1001")
    await shops.buy("1", "1001", 1000)
    await shops.has(anna, 100)

    async def spend(till: httpx2.AsyncClient, number: int) -> int:
        body = {"receipt": f"r{number}", "branch": "12", "points": 30, "total": 1000}
        answer = await till.post(f"/v1/customers/{anna}/points/spendings", json=body)
        return answer.status_code

    tills = [shops.interaction, shops.other]
    answers = await asyncio.gather(*(spend(tills[n % 2], n) for n in range(12)))
    # 100 points are three times 30, and 10.
    assert sorted(answers) == [201] * 3 + [409] * 9
    balance = await shops.balance(anna)
    assert (balance["usable"], balance["kept"]) == (10, 90)
    again = await asyncio.gather(*(spend(tills[n % 2], n) for n in range(12)))
    assert again == answers


@asynccontextmanager
async def worker(chain: LocalChain) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker of the interaction service in a process of its own, to be killed."""
    settings = chain.settings(Settings, port=0)
    names = set(type(settings).model_fields) & settings.model_fields_set
    environment = {f"REGULARS_{name.upper()}": str(getattr(settings, name)) for name in names}
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.interaction", "--role", "worker"),
        cwd=ROOT,
        env=os.environ | environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGKILL)
        await running.wait()


async def test_points_expire_once_at_their_moment_though_sweepers_are_killed(
    chain: LocalChain,
) -> None:
    settings = chain.settings(InteractionSettings)
    async with (
        chain.running(build_customer, chain.settings(Settings)) as customers,
        chain.running(build_interaction, settings, "api") as api,
        chain.running(build_interaction, settings, "relay"),
    ):
        async with worker(chain):
            body: Json = {"surname": "Ivanova"}
            anna = (await customers.post("/v1/customers", json=body)).json()["id"]

            async def known() -> bool | None:
                answer = await api.get(f"/v1/customers/{anna}/points")
                return True if answer.status_code == 200 else None

            await eventually(known)
        soon = datetime.now(UTC) + timedelta(seconds=2)  # noqa: TID251 - real timers are waited for
        ends = [show_moment(soon + timedelta(milliseconds=300 * n)) for n in range(30)]
        for moment in ends:
            grant = {"points": 1, "reason": "x", "expires": moment}
            answer = await api.post(f"/v1/customers/{anna}/points/grants", json=grant)
            assert answer.status_code == 201, answer.text
        for _ in range(2):
            async with worker(chain):
                await asyncio.sleep(4)

        async def expired() -> Json:
            page = await api.get(f"/v1/customers/{anna}/points/ledger", params={"limit": 1000})
            found = [each for each in page.json()["items"] if each["kind"] == "expired"]
            return found if len(found) >= len(ends) else None

        async with worker(chain):
            told = await eventually(expired)
        assert sorted(each["time"] for each in told) == ends
        balance = (await api.get(f"/v1/customers/{anna}/points")).json()
        assert (balance["usable"], balance["expiring"]) == (0, [])
