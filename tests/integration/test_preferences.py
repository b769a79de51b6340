"""The customer's own page over HTTP, on real servers: the link is the proof, for one customer."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from services.customer.handlers.tokens import Tokens
from services.customer.main import build
from shared.access import Role
from shared.clock import SystemClock
from shared.settings import Settings, read_key
from shared.testing import LocalChain

Json = Any
PAGE = "/v1/preferences"
ANNA = {
    "surname": "Ivanova",
    "home_branch": "12",
    "identifiers": [
        {"kind": "email", "value": "anna@example.com"},
        {"kind": "phone", "value": "+79990000001"},
    ],
    "consents": [{"topic": "marketing", "channel": "email", "source": "till"}],
}


@pytest.fixture
async def owner(chain: LocalChain) -> AsyncIterator[httpx2.AsyncClient]:
    async with chain.running(build, chain.settings(Settings)) as client:
        yield client


@pytest.fixture
async def anna(owner: httpx2.AsyncClient) -> str:
    answer = await owner.post("/v1/customers", json=ANNA)
    assert answer.status_code == 201, answer.text
    customer: str = answer.json()["id"]
    return customer


async def link_to(owner: httpx2.AsyncClient, customer: str) -> str:
    answer = await owner.post(f"/v1/customers/{customer}/preference-token")
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["token"]
    assert answer.json()["path"] == f"{PAGE}?token={token}"
    return token


def wish(topic: str, channel: str, *, given: bool) -> Json:
    return {"topic": topic, "channel": channel, "given": given}


def kind_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:regulars:problem:")


async def test_a_customer_reads_and_changes_what_they_agreed_to(
    owner: httpx2.AsyncClient, anna: str
) -> None:
    token = await link_to(owner, anna)
    # Nobody asks for a key here.
    key = owner.headers.pop("Authorization")
    first = await owner.get(PAGE, params={"token": token})
    assert first.status_code == 200, first.text
    assert first.json()["contacts"] == [
        {"kind": "email", "value": "•••om"},
        {"kind": "phone", "value": "•••01"},
    ]
    assert first.json()["consents"] == [
        wish("marketing", "email", given=True),
        wish("marketing", "sms", given=False),
    ]
    assert first.headers["cache-control"] == "no-store"
    assert not [name for name in first.headers if name.startswith("access-control")]
    change = {
        "consents": [
            wish("marketing", "email", given=False),
            wish("marketing", "sms", given=True),
        ],
        "preferred_channel": "sms",
        "wording": "2017-1",
    }
    said = await owner.put(PAGE, params={"token": token}, json=change)
    assert said.status_code == 200, said.text
    assert said.json()["preferred_channel"] == "sms"
    assert said.json()["consents"] == change["consents"]
    # The same again says nothing new.
    assert (await owner.put(PAGE, params={"token": token}, json=change)).is_success
    back = {"consents": [wish("marketing", "email", given=True)]}
    again = await owner.put(PAGE, params={"token": token}, json=back)
    assert again.json()["consents"][0] == wish("marketing", "email", given=True)
    unknown = {"consents": [wish("weather", "email", given=True)]}
    refused = await owner.put(PAGE, params={"token": token}, json=unknown)
    assert kind_of(refused) == (422, "invalid")
    owner.headers["Authorization"] = key
    log = (await owner.get(f"/v1/customers/{anna}/consents")).json()
    # Withdrawn, given and given again on the page; first it was given at the till.
    assert str(log).count("preference-page") >= 3
    assert "2017-1" in str(log)


async def test_a_wrong_an_expired_and_a_foreign_link_open_nothing(
    chain: LocalChain, owner: httpx2.AsyncClient, anna: str
) -> None:
    token = await link_to(owner, anna)
    for wrong in ("x", token[:-2], token + "A", "a.b.c"):
        answer = await owner.get(PAGE, params={"token": wrong})
        assert kind_of(answer) == (401, "token-invalid")
    assert (await owner.get(PAGE)).status_code == 422
    tokens = Tokens(read_key(chain.folder / "hmac.key"))
    past = SystemClock().system_now() - timedelta(days=91)
    expired = tokens.issue("preferences", anna, past, timedelta(days=90))
    answer = await owner.put(PAGE, params={"token": expired}, json={})
    assert kind_of(answer) == (401, "token-expired")
    nobody = tokens.issue("preferences", "nobody", past, timedelta(days=900))
    assert kind_of(await owner.get(PAGE, params={"token": nobody})) == (404, "not-found")
    erasing = {"confirm": "erase", "reason": "request"}
    assert (await owner.post(f"/v1/customers/{anna}/erase", json=erasing)).is_success
    assert kind_of(await owner.get(PAGE, params={"token": token})) == (410, "erased")
    link = await owner.post(f"/v1/customers/{anna}/preference-token")
    assert kind_of(link) == (410, "erased")


async def test_only_callers_of_the_customers_branch_make_a_link(
    chain: LocalChain, owner: httpx2.AsyncClient, anna: str
) -> None:
    path = f"/v1/customers/{anna}/preference-token"
    for branch, status in (("12", 201), ("13", 403)):
        key = await chain.key(Role.CASHIER, branches=[branch])
        answer = await owner.post(path, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status
    reader = {"Authorization": f"Bearer {await chain.key(Role.READER)}"}
    assert (await owner.post(path, headers=reader)).status_code == 403
    assert (await owner.post("/v1/customers/nobody/preference-token")).status_code == 404
