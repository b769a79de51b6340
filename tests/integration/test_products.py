"""The catalogue and what is bought together, on real servers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from shared.settings import Settings
from shared.testing import LocalChain, eventually

Json = Any
NOW = datetime(2018, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shop:
    """The two services, as the owner calls them."""

    customer: httpx2.AsyncClient
    interaction: httpx2.AsyncClient

    async def post(self, path: str, body: Json) -> Json:
        answer = await self.interaction.post(f"/v1/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def get(self, path: str, **asked: str | int) -> Json:
        answer = await self.interaction.get(f"/v1/{path}", params=asked)
        assert answer.is_success, answer.text
        return answer.json()

    async def register(self, name: str) -> str:
        """A new customer whom the interaction service knows by an external id."""
        identifiers = [{"kind": "external", "value": name}]
        body = {"surname": name, "identifiers": identifiers}
        answer = await self.customer.post("/v1/customers", json=body)
        assert answer.status_code == 201, answer.text
        customer: str = answer.json()["id"]
        path = f"/v1/customers/{customer}/recommendations"

        async def known() -> bool | None:
            return (await self.interaction.get(path)).status_code == 200 or None

        await eventually(known)
        return customer


@pytest.fixture
async def shop(chain: LocalChain) -> AsyncIterator[Shop]:
    """The two services of this test alone; the chain's clock stands still."""
    customer = chain.settings(Settings, clock_frozen_at=NOW)
    interaction = chain.settings(InteractionSettings, clock_frozen_at=NOW)
    async with (
        chain.running(build_customer, customer) as customers,
        chain.running(build_interaction, interaction) as interactions,
    ):
        yield Shop(customers, interactions)


def receipt(number: int, who: str, products: str) -> Json:
    return {
        "source_id": str(number),
        "branch": "12",
        "time": "2017-12-01T09:30:00Z",
        "identifier": {"kind": "external", "value": who},
        "lines": [{"product": name, "quantity": 1, "amount": 100} for name in products],
    }


async def test_what_is_bought_together_is_found_by_a_job_and_told_with_titles(shop: Shop) -> None:
    tree = [
        {"id": "food", "titles": {"en": "Food"}},
        {"id": "bakery", "titles": {"en": "Bakery"}, "parent": "food"},
    ]
    await shop.post("product-categories/batch", {"items": tree})
    items = [
        {"id": name, "titles": {"en": f"The {name}"}, "category": "bakery", "cost": 40}
        for name in "abc"
    ]
    answers = (await shop.post("products/batch", {"items": items}))["items"]
    assert [each["status"] for each in answers] == [200, 200, 200]
    listed = await shop.get("products/c", min_version=1)
    assert listed["path"] == ["food", "bakery"]
    found = await shop.get("products", category="food", title="the b")
    assert [each["id"] for each in found["items"]] == ["b"]

    anna, boris = await shop.register("Ivanova"), await shop.register("Abramov")
    baskets = ["ab", "ab", "ab", "a", "a", "c", "c", "c", "c", "c"]
    sold = [receipt(number, "Ivanova", names) for number, names in enumerate(baskets)]
    answers = await shop.post("receipts/batch", {"items": [*sold, receipt(99, "Abramov", "a")]})
    assert [each["status"] for each in answers["items"]] == [200] * 11

    job = (await shop.post("recommendations/jobs", {}))["id"]

    async def done() -> bool | None:
        return (await shop.get(f"jobs/{job}"))["state"] == "done" or None

    await eventually(done)
    (item,) = (await shop.get(f"customers/{boris}/recommendations"))["items"]
    # 3 of 11 baskets have both, 6 have a, 3 have b: 3 * 11 / (6 * 3) = 1.83.
    assert (item["product"], item["title"], item["reasons"][0]["lift"]) == ("b", "The b", 1.83)
    assert item["reasons"][0]["because"] == (
        "Bought The a; of 6 baskets with it 3 also had The b, 1.8 times as often as expected."
    )
    assert (await shop.get(f"customers/{anna}/recommendations"))["items"] == []
    assert [
        each["product"] for each in (await shop.get("products/b/recommendations"))["items"]
    ] == ["a"]
