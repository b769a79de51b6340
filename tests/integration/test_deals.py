"""Deals over HTTP, on real servers, as a manager and a till would use them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from services.customer.main import build
from shared.access import Role
from shared.settings import Settings
from shared.testing import LocalChain

Json = Any
TITLES = {"en": "Sales"}
SALES = {
    "titles": TITLES,
    "stages": [
        {"stage": "new", "titles": {"en": "New"}, "probability": 1000},
        {"stage": "offer", "titles": {"en": "Offer"}, "probability": 3333},
    ],
    "won": {"en": "Won"},
    "lost": {"en": "Lost"},
    "lost_reasons": [{"reason": "price", "titles": {"en": "Price"}}],
}


@pytest.fixture
async def owner(chain: LocalChain) -> AsyncIterator[httpx2.AsyncClient]:
    """The service of this test alone, with a pipeline, as its owner calls it."""
    async with chain.running(build, chain.settings(Settings)) as client:
        answer = await client.put("/v1/pipelines/sales", json=SALES)
        assert answer.status_code == 200, answer.text
        yield client


async def post(client: httpx2.AsyncClient, path: str, body: Json, **more: Json) -> Json:
    answer = await client.post(path, json=body, **more)
    assert answer.is_success, answer.text
    return answer.json()


async def customer(client: httpx2.AsyncClient) -> str:
    found: str = (await post(client, "/v1/customers", {"surname": "Ivanova"}))["id"]
    return found


async def seen(client: httpx2.AsyncClient, settled: Json) -> Json:
    answer = await client.get(
        f"/v1/deals/{settled['id']}", params={"min_version": settled["version"]}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def kind_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:regulars:problem:")


async def test_a_deal_is_opened_changed_moved_won_and_reopened(owner: httpx2.AsyncClient) -> None:
    anna = await customer(owner)
    lines = [{"product": "sofa", "quantity": 2, "price": 1000, "discount": 100}]
    body = {"customer": anna, "pipeline": "sales", "title": "A sofa", "lines": lines}
    key = {"Idempotency-Key": "monday"}
    opened = await post(owner, "/v1/deals", body, headers=key)
    assert (await post(owner, "/v1/deals", body, headers=key))["repeated"]
    deal = await seen(owner, opened)
    # 2 × 1,000 − 100
    assert (deal["stage"], deal["amount"], deal["title"]) == ("new", 1900, "A sofa")
    path = f"/v1/deals/{opened['id']}"
    patch = {"comment": "by May", "title": None}
    assert kind_of(await owner.patch(path, json=patch)) == (428, "precondition-required")
    changed = await owner.patch(path, json=patch, headers={"If-Match": '"1"'})
    assert changed.json()["version"] == 2, changed.text
    stale = await owner.patch(path, json={"source": "web"}, headers={"If-Match": '"1"'})
    assert kind_of(stale) == (412, "precondition-failed")
    same = await owner.patch(path, json=patch, headers={"If-Match": '"1"'})
    assert same.json()["version"] == 2
    await post(owner, f"{path}/stage", {"stage": "offer"})
    won = await post(owner, f"{path}/win", {})
    assert kind_of(await owner.post(f"{path}/stage", json={"stage": "new"})) == (409, "deal-closed")
    deal = await seen(owner, won)
    assert (deal["status"], deal["comment"], deal["title"]) == ("won", "by May", None)
    assert [(each["stage"], each["next"]) for each in deal["stays"]] == [
        ("new", "offer"), ("offer", "won"),
    ]  # fmt: skip
    await post(owner, f"{path}/reopen", {})
    lost = await owner.post(f"{path}/lose", json={"reason": "taste"})
    assert [each["field"] for each in lost.json()["errors"]] == ["reason"]
    last = await post(owner, f"{path}/lose", {"reason": "price", "comment": "went next door"})
    deal = await seen(owner, last)
    assert (deal["lost_reason"], deal["lost_comment"]) == ("price", "went next door")


async def test_fifty_deals_opened_at_once_are_spread_exactly_evenly(
    owner: httpx2.AsyncClient,
) -> None:
    anna = await customer(owner)
    for name, strategy in (("lease", "round_robin"), ("sale", "least_open")):
        rule = {"titles": {"en": name}, "strategy": strategy, "employees": list("abcde")}
        assert (await owner.put(f"/v1/assignments/{name}", json=rule)).is_success
    deals: list[Json] = []
    body: Json = {}
    for deal_type in ("lease", "sale"):
        body = {"customer": anna, "pipeline": "sales", "amount": 1, "deal_type": deal_type}
        answers = await asyncio.gather(*(post(owner, "/v1/deals", body) for _ in range(50)))
        deals = [await seen(owner, each) for each in answers]
        # 50 over five of them.
        assert Counter(each["responsible"] for each in deals) == dict.fromkeys("abcde", 10)
    # Who closes two has two fewer: the next two are theirs.
    theirs = [each["id"] for each in deals if each["responsible"] == "c"][:2]
    await asyncio.gather(*(post(owner, f"/v1/deals/{each}/win", {}) for each in theirs))
    next_two = [await seen(owner, await post(owner, "/v1/deals", body)) for _ in range(2)]
    assert [each["responsible"] for each in next_two] == ["c", "c"]


async def test_board_forecast_and_conversion_are_the_sums_of_the_deals(
    chain: LocalChain, owner: httpx2.AsyncClient
) -> None:
    anna = await customer(owner)
    base = {"customer": anna, "pipeline": "sales"}
    amounts = [(101, "12", "2018-02-28"), (202, "12", "2018-03-01"), (305, "13", None)]
    deals = [
        await post(owner, "/v1/deals", {**base, "amount": a, "branch": b, "expected_close": c})
        for a, b, c in amounts
    ]
    moved = await post(owner, f"/v1/deals/{deals[1]['id']}/stage", {"stage": "offer"})
    won = await post(owner, f"/v1/deals/{deals[2]['id']}/win", {})
    for each in (deals[0], moved, won):
        await seen(owner, each)
    board = (await owner.get("/v1/pipelines/sales/board")).json()
    # 101 × 10 % = 10.1; 202 × 33.33 % = 67.3266; together 77.4266.
    figures = [(each["count"], each["amount"], each["weighted"]) for each in board["stages"]]
    assert figures == [(1, 101, 10), (1, 202, 67)]
    assert board["total"] == {"count": 2, "amount": 303, "weighted": 77}
    forecast = (await owner.get("/v1/deals/forecast", params={"by": "month"})).json()
    assert [(each["group"], each["weighted"]) for each in forecast["groups"]] == [
        ("2018-02", 10), ("2018-03", 67),
    ]  # fmt: skip
    until = {"by": "branch", "until_month": "2018-02"}
    early = (await owner.get("/v1/deals/forecast", params=until)).json()
    assert [(each["group"], each["amount"]) for each in early["groups"]] == [("12", 101)]
    window = {"begin": "2000-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}
    conversion = (await owner.get("/v1/pipelines/sales/conversion", params=window)).json()
    new, offer = conversion["stages"]
    assert (new["entered"], new["left"], offer["entered"]) == (3, 2, 1)
    assert new["followed_by"] == [
        {"next": "offer", "count": 1}, {"next": "won", "count": 1}, {"next": None, "count": 1},
    ]  # fmt: skip
    other = {"Authorization": f"Bearer {await chain.key(Role.MANAGER, branches=['13'])}"}
    narrow = (await owner.get("/v1/pipelines/sales/board", headers=other)).json()
    assert narrow["total"]["count"] == 0
    listed = (await owner.get("/v1/deals", headers=other)).json()["items"]
    assert [each["id"] for each in listed] == [deals[2]["id"]]
    refused = await owner.post(f"/v1/deals/{deals[0]['id']}/win", json={}, headers=other)
    assert kind_of(refused) == (403, "out-of-scope")
    page = (await owner.get("/v1/deals", params={"limit": 2})).json()
    rest = (await owner.get("/v1/deals", params={"cursor": page["next_cursor"]})).json()
    assert [each["id"] for each in [*page["items"], *rest["items"]]] == [e["id"] for e in deals]


async def test_wrong_input_of_a_deal_is_named(owner: httpx2.AsyncClient) -> None:
    anna = await customer(owner)
    base = {"customer": anna, "pipeline": "sales"}
    for body, place in (
        ({**base, "customer": "nobody"}, "customer"),
        ({"company": "nobody", "pipeline": "sales"}, "company"),
        ({**base, "pipeline": "nothing"}, "pipeline"),
        ({**base, "amount": -1}, "amount"),
        ({**base, "expected_close": "soon"}, "expected_close"),
        ({**base, "lines": [{"product": "p", "quantity": 0, "price": 1}]}, "lines.0.quantity"),
        ({**base, "colour": "red"}, "colour"),
    ):
        answer = await owner.post("/v1/deals", json=body)
        assert kind_of(answer) == (422, "invalid"), answer.text
        assert place in [each["field"] for each in answer.json()["errors"]]
    both = await owner.post("/v1/deals", json={**base, "company": "x"})
    assert kind_of(both) == (422, "invalid")
    assert kind_of(await owner.get("/v1/deals/nothing")) == (404, "not-found")
    assert kind_of(await owner.post("/v1/deals/nothing/win")) == (404, "not-found")
