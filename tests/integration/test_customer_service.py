"""The customer service over HTTP, on real servers: what was accepted is seen, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from services.customer.main import build
from shared.access import Role
from shared.mongo import Database, connect
from shared.mongo.events import COMMITS
from shared.settings import Settings
from shared.testing import LocalChain

Json = Any
EMAIL = {"kind": "email", "value": "Anna@Example.com"}
CARD = {"kind": "card", "value": "a-1"}
ANNA = {
    "identifiers": [EMAIL, CARD],
    "surname": "Ivanova",
    "name": "Anna",
    "birth_date": "1980-02-29",
    "home_branch": "12",
    "custom": {"pets": 2},
    "consents": [{"topic": "marketing", "channel": "email", "source": "till"}],
}


@pytest.fixture
async def owner(chain: LocalChain) -> AsyncIterator[httpx2.AsyncClient]:
    """The service of this test alone, as its owner calls it."""
    async with chain.running(build, chain.settings(Settings)) as client:
        yield client


async def registered(owner: httpx2.AsyncClient, body: Json) -> Json:
    answer = await owner.post("/v1/customers", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def seen(owner: httpx2.AsyncClient, customer: str, version: int) -> Json:
    answer = await owner.get(f"/v1/customers/{customer}", params={"min_version": version})
    assert answer.status_code == 200, answer.text
    return answer.json()


def kind_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:regulars:problem:")


async def test_who_registers_is_read_found_and_listed(
    chain: LocalChain, owner: httpx2.AsyncClient
) -> None:
    first = await registered(owner, ANNA)
    # The registration and the consent.
    assert (first["version"], first["repeated"]) == (2, False)
    anna = await seen(owner, first["id"], 2)
    assert anna["surname"] == "Ivanova"
    assert anna["birth_date"] == "1980-02-29"
    assert anna["custom"] == {"pets": 2}
    assert anna["consents"] == ["marketing|email"]
    assert [each["value"] for each in anna["contacts"]] == ["anna@example.com", "A1"]
    found = await owner.post("/v1/customers/find", json={"kind": "card", "value": "A 1"})
    assert found.json() == anna
    boris = await registered(owner, {"surname": "Abramov"})
    await seen(owner, boris["id"], 1)
    page = (await owner.get("/v1/customers", params={"limit": 1})).json()
    assert [each["surname"] for each in page["items"]] == ["Abramov"]
    rest = (await owner.get("/v1/customers", params={"cursor": page["next_cursor"]})).json()
    assert ([each["id"] for each in rest["items"]], rest["next_cursor"]) == ([anna["id"]], None)
    client = connect(chain.servers.mongo_url)
    try:
        store = Database(client, f"{chain.prefix}customer").collection(COMMITS)
        log = str(await store.find({}))
    finally:
        client.close()
    personal = ["Ivanova", "anna@example.com", "1980-02-29", "Abramov"]
    assert [word for word in personal if word in log] == []


async def test_of_those_who_register_with_one_identifier_at_once_one_gets_it(
    owner: httpx2.AsyncClient,
) -> None:
    bodies = [{"surname": str(n), "identifiers": [EMAIL, CARD]} for n in range(8)]
    answers = await asyncio.gather(*(owner.post("/v1/customers", json=each) for each in bodies))
    winners = [answer for answer in answers if answer.status_code == 201]
    losers = [answer for answer in answers if answer.status_code != 201]
    assert len(winners) == 1
    assert {kind_of(answer) for answer in losers} == {(409, "identifier-taken")}
    winner = winners[0].json()["id"]
    assert {answer.json()["owner"] for answer in losers} == {winner}
    await seen(owner, winner, 1)
    found = await owner.post("/v1/customers/find", json=CARD)
    assert found.json()["id"] == winner
    page = (await owner.get("/v1/customers")).json()
    assert [each["id"] for each in page["items"]] == [winner]


async def test_an_identifier_goes_from_one_customer_to_another(owner: httpx2.AsyncClient) -> None:
    anna = (await registered(owner, ANNA))["id"]
    boris = (await registered(owner, {"surname": "Abramov"}))["id"]
    path = f"/v1/customers/{boris}/identifiers"
    assert kind_of(await owner.post(path, json=CARD)) == (409, "identifier-taken")
    card = (await seen(owner, anna, 2))["contacts"][1]
    removal = f"/v1/customers/{anna}/identifiers/card/{card['hash']}"
    removed = (await owner.delete(removal)).json()
    # Two events of the registration, and this.
    assert removed["version"] == 3
    assert (await owner.delete(removal)).json()["version"] == 3
    added = (await owner.post(path, json=CARD)).json()
    assert added["version"] == 2
    assert [each["kind"] for each in (await seen(owner, anna, 3))["contacts"]] == ["email"]
    await seen(owner, boris, 2)
    found = await owner.post("/v1/customers/find", json=CARD)
    assert found.json()["id"] == boris
    assert kind_of(await owner.post("/v1/customers/nobody/identifiers", json=CARD)) == (
        404,
        "not-found",
    )


async def test_each_customer_of_a_batch_has_an_answer_and_is_registered_once(
    owner: httpx2.AsyncClient,
) -> None:
    items = [
        {"request_id": "1", "identifiers": [EMAIL]},
        {"request_id": "2", "identifiers": [EMAIL]},
        {"request_id": "3", "identifiers": [{"kind": "phone", "value": "abc"}]},
        {"request_id": "4", "surname": 7},
        {"surname": "without an id"},
        {"request_id": "5", "identifiers": [CARD]},
    ]
    first = (await owner.post("/v1/customers/batch", json={"items": items})).json()["items"]
    assert [each["status"] for each in first] == [200, 409, 422, 422, 422, 200]
    wrong = [first[n]["problem"]["errors"][0]["field"] for n in (2, 3, 4)]
    assert wrong == ["identifiers.0.value", "surname", "request_id"]
    second = (await owner.post("/v1/customers/batch", json={"items": items})).json()["items"]
    assert [each["status"] for each in second] == [200, 409, 422, 422, 422, 200]
    for index in (0, 5):
        assert (first[index]["repeated"], second[index]["repeated"]) == (False, True)
        assert first[index]["id"] == second[index]["id"]
        await seen(owner, first[index]["id"], 1)
    assert len((await owner.get("/v1/customers")).json()["items"]) == 2


async def test_a_consent_is_given_and_withdrawn(owner: httpx2.AsyncClient) -> None:
    anna = (await registered(owner, {**ANNA, "consents": []}))["id"]
    path = f"/v1/customers/{anna}/consents"
    consent = {"topic": "marketing", "channel": "sms", "source": "web", "wording": "2017-1"}
    key = {"Idempotency-Key": "monday"}
    given = [(await owner.post(path, json=consent, headers=key)).json() for _ in range(2)]
    assert [(each["version"], each["repeated"]) for each in given] == [(2, False), (2, True)]
    assert (await seen(owner, anna, 2))["consents"] == ["marketing|sms"]
    other = await owner.post(path, json={**consent, "given": False}, headers=key)
    assert kind_of(other) == (422, "command-differs")
    await owner.post(path, json={**consent, "given": False})
    assert (await seen(owner, anna, 3))["consents"] == []


async def test_a_caller_of_a_branch_sees_contacts_of_its_own_customers_only(
    chain: LocalChain, owner: httpx2.AsyncClient
) -> None:
    anna = (await registered(owner, ANNA))["id"]
    await seen(owner, anna, 2)
    own, other = [
        {"Authorization": f"Bearer {await chain.key(Role.CASHIER, branches=[branch])}"}
        for branch in ("12", "13")
    ]
    find = "/v1/customers/find"
    clear = (await owner.post(find, json=EMAIL, headers=own)).json()
    masked = (await owner.post(find, json=EMAIL, headers=other)).json()
    assert clear["contacts"][0]["value"] == "anna@example.com"
    assert masked["contacts"][0]["value"] == "•••om"
    assert (masked["birth_date"], masked["custom"]) == (None, {})
    assert [
        len((await owner.get("/v1/customers", headers=caller)).json()["items"])
        for caller in (own, other)
    ] == [1, 0]
    path = f"/v1/customers/{anna}/identifiers"
    phone = {"kind": "phone", "value": "+4930123456"}
    assert kind_of(await owner.post(path, json=phone, headers=other)) == (403, "out-of-scope")
    assert (await owner.post(path, json=phone, headers=own)).status_code == 200
    taken = {"identifiers": [EMAIL], "home_branch": "13"}
    refused = await owner.post("/v1/customers", json=taken, headers=other)
    assert kind_of(refused) == (409, "identifier-taken")
    assert anna not in refused.text
    elsewhere = await owner.post("/v1/customers", json={"home_branch": "12"}, headers=other)
    assert kind_of(elsewhere) == (403, "out-of-scope")


async def test_wrong_input_is_named_and_never_repeated(owner: httpx2.AsyncClient) -> None:
    secret = "Ivanova-79161234567"
    for body, place in (
        ({"surname": ["x"]}, "surname"),
        ({"surname": ""}, "surname"),
        ({"birth_date": secret}, "birth_date"),
        ({"gender": secret}, "gender"),
        ({"language": secret}, "language"),
        ({"acquisition": secret}, "acquisition"),
        ({"internal": secret}, "internal"),
        ({"identifiers": [{"kind": "phone", "value": secret}]}, "identifiers.0.value"),
        ({"identifiers": [CARD, {"kind": "email", "value": secret}]}, "identifiers.1.value"),
        ({"identifiers": [{"kind": secret, "value": "1"}]}, "identifiers.0.kind"),
        ({"identifiers": [CARD, {"kind": "card", "value": "A 1"}]}, "identifiers"),
        ({"consents": [{"topic": "t", "channel": secret, "source": "s"}]}, "consents.0.channel"),
        (
            {"consents": [{"topic": "t", "channel": "sms", "source": "s", "given": False}]},
            "consents",
        ),
        ({"nickname": secret}, "nickname"),
    ):
        answer = await owner.post("/v1/customers", json=body)
        assert kind_of(answer) == (422, "invalid"), body
        assert place in [error["field"] for error in answer.json()["errors"]]
        assert secret not in answer.text
    nobody = await owner.post("/v1/customers/find", json={"kind": "external", "value": secret})
    assert kind_of(nobody) == (404, "not-found")
    assert secret not in nobody.text
    assert (await owner.get("/v1/customers")).json()["items"] == []
