"""Rules of automation with the services that cause them: the example that the chain thinks of."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from services.customer import main
from services.customer.consumers import automation
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.state import Customer, stream_of
from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from services.segment.main import SegmentSettings
from services.segment.main import build as build_segment
from shared.envelope import decode
from shared.process import Kernel
from shared.records import RawRecord
from shared.testing import LocalChain, eventually

Json = Any
NOW = datetime(2018, 1, 2, tzinfo=UTC)
BOUGHT = NOW - timedelta(hours=1)
SEGMENT = {
    "title": "10,000.00 in 90 days",
    "rule": {
        "kind": "receipts",
        "aggregate": "sum",
        "within": "P90D",
        "compare": {"op": ">=", "value": 1_000_000},
    },
}
GOLD = {"titles": {"en": "Gold"}, "colour": "#ffd700"}
RULE = {
    "titles": {"en": "Gold"},
    "when": {"on": "segment_entered", "segment": "big", "while_inside": True},
    "then": {"give_categories": ["gold"]},
}


@dataclass(frozen=True, slots=True)
class Chain:
    """Three services at one frozen moment."""

    customer: httpx2.AsyncClient
    segment: httpx2.AsyncClient
    interaction: httpx2.AsyncClient
    kernel: Kernel

    async def state(self, customer: str) -> Customer:
        state, _version = await self.kernel.writer.state(CUSTOMER, stream_of(customer))
        return state

    async def gold(self, customer: str, *, given: bool) -> Customer:
        """The customer, once Gold was given or withdrawn."""

        async def so() -> Customer | None:
            state = await self.state(customer)
            has = ("gold", "rule:gold") in state.categories
            return state if has is given else None

        return await eventually(so)

    async def changes(self, customer: str) -> list[tuple[str, str]]:
        """Type and time of every change of categories."""
        stream = stream_of(customer)
        commits = (await self.kernel.store.read([stream]))[stream]
        events = [decode(text) for commit in commits for text in commit.events]
        return [(each.type, each.time) for each in events if "categories" in each.type]


@asynccontextmanager
async def opened(chain: LocalChain, at: datetime) -> AsyncIterator[Chain]:
    settings = chain.settings(InteractionSettings, clock_frozen_at=at)
    async with AsyncExitStack() as exits:
        kernel = Kernel.unconnected(settings, "customer")
        exits.push_async_callback(kernel.close)
        customer, interaction = [
            await exits.enter_async_context(chain.running(build, settings))
            for build in (build_customer, build_interaction)
        ]
        own = chain.settings(SegmentSettings, clock_frozen_at=at)
        segment = await exits.enter_async_context(chain.running(build_segment, own))
        yield Chain(customer, segment, interaction, kernel)


async def put(client: httpx2.AsyncClient, path: str, body: Json) -> None:
    answer = await client.put(path, json=body)
    assert answer.is_success, answer.text


async def gold_for_anna(here: Chain) -> str:
    """Anna, who buys for 10,000.00 an hour before NOW, in a chain that gives Gold for it."""
    await put(here.segment, "/v1/segments/big", SEGMENT)
    await put(here.customer, "/v1/configuration/categories/gold", GOLD)
    await put(here.customer, "/v1/configuration/automation/gold", RULE)
    answer = await here.customer.post("/v1/customers", json={"surname": "Ivanova"})
    anna: str = answer.json()["id"]
    receipt = {
        "source_id": "1",
        "branch": "12",
        "time": BOUGHT.isoformat(),
        "customer": anna,
        "lines": [{"product": "1", "quantity": 1, "amount": 1_000_000}],
    }

    async def recorded() -> bool | None:
        sent = await here.interaction.post("/v1/receipts", json=receipt)
        return True if sent.is_success else None

    await eventually(recorded)
    await here.gold(anna, given=True)
    return anna


async def test_ten_thousand_in_ninety_days_gives_gold_until_the_exact_moment_it_is_over(
    chain: LocalChain,
) -> None:
    async with opened(chain, NOW) as here:
        anna = await gold_for_anna(here)
    async with opened(chain, NOW + timedelta(days=100)) as here:
        await here.gold(anna, given=False)
        over = BOUGHT + timedelta(days=90)
        assert await here.changes(anna) == [
            ("customer.categories_changed.v1", "2018-01-02T00:00:00.000Z"),
            ("customer.categories_changed.v1", f"{over:%Y-%m-%dT%H:%M:%S.000Z}"),
        ]


async def test_a_reaction_that_was_killed_before_it_acknowledged_repeats_to_no_effect(
    chain: LocalChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = asyncio.Event()
    react = automation.react

    async def dying(automating: Any, records: Sequence[RawRecord]) -> None:  # noqa: ANN401 - as it is called
        """Carries out, and never comes to acknowledge."""
        await react(automating, records)
        if automation.causes_of(records):
            done.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(main, "GRACE_SECONDS", 0.1)
    with monkeypatch.context() as patched:
        patched.setattr(automation, "react", dying)
        async with opened(chain, NOW) as here:
            await put(here.customer, "/v1/configuration/categories/gold", GOLD)
            rule = {
                "titles": {"en": "Gold"},
                "when": {"on": "status_reached", "status": "active"},
                "then": {"give_categories": ["gold"], "task": {"title": "Call", "due": "P1D"}},
            }
            await put(here.customer, "/v1/configuration/automation/gold", rule)
            answer = await here.customer.post("/v1/customers", json={"surname": "Ivanova"})
            anna: str = answer.json()["id"]
            await put(here.customer, f"/v1/customers/{anna}/status", {"status": "active"})
            await here.gold(anna, given=True)
            await done.wait()
            before = (await here.state(anna)).version
    async with opened(chain, NOW) as here:
        other = await here.customer.post("/v1/customers", json={"surname": "Abramov"})
        boris: str = other.json()["id"]
        await put(here.customer, f"/v1/customers/{boris}/status", {"status": "active"})
        # What came after it in the topic is carried out, so the batch was repeated.
        await here.gold(boris, given=True)
        # Registration, status, category, task: each once.
        assert (await here.state(anna)).version == before == 4
