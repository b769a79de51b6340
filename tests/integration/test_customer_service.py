"""The customer service over HTTP, on real servers: what was accepted is seen, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Mapping
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
        await pets_defined(client)
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


def standing(customer: Json) -> Mapping[tuple[str, str], bool]:
    return {(each["topic"], each["channel"]): each["given"] for each in customer["consents"]}


async def pets_defined(owner: httpx2.AsyncClient) -> None:
    field = {"titles": {"en": "Pets"}, "kind": "number", "group": "basic", "purpose": "food"}
    answer = await owner.put("/v1/configuration/fields/pets", json=field, headers={"If-Match": "*"})
    assert answer.status_code in (200, 201), answer.text


async def test_who_registers_is_read_found_and_listed(
    chain: LocalChain, owner: httpx2.AsyncClient
) -> None:
    first = await registered(owner, ANNA)
    # The registration and the consent.
    assert (first["version"], first["repeated"]) == (2, False)
    anna = await seen(owner, first["id"], 2)
    assert anna["record"]["surname"] == "Ivanova"
    assert anna["record"]["birth_date"] == "1980-02-29"
    assert anna["record"]["custom"] == {"pets": 2}
    assert standing(anna) == {("marketing", "email"): True}
    assert [each["value"] for each in anna["identifiers"]] == ["anna@example.com", "A1"]
    found = await owner.post("/v1/customers/find", json={"kind": "card", "value": "A 1"})
    assert found.json()["id"] == anna["id"]
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
    card = (await seen(owner, anna, 2))["identifiers"][1]
    removal = f"/v1/customers/{anna}/identifiers/card/{card['hash']}"
    removed = (await owner.delete(removal)).json()
    # Two events of the registration, and this.
    assert removed["version"] == 3
    assert (await owner.delete(removal)).json()["version"] == 3
    added = (await owner.post(path, json=CARD)).json()
    assert added["version"] == 2
    assert [each["kind"] for each in (await seen(owner, anna, 3))["identifiers"]] == ["email"]
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
    assert standing(await seen(owner, anna, 2)) == {("marketing", "sms"): True}
    other = await owner.post(path, json={**consent, "given": False}, headers=key)
    assert kind_of(other) == (422, "command-differs")
    await owner.post(path, json={**consent, "given": False})
    assert standing(await seen(owner, anna, 3)) == {("marketing", "sms"): False}
    log = (await owner.get(path)).json()["log"]
    assert [(each["given"], each["evidence"]["wording"]) for each in log] == [
        (True, "2017-1"),
        (False, "2017-1"),
    ]


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


async def test_a_partial_update_rests_on_a_version_and_says_what_is_wrong(
    owner: httpx2.AsyncClient,
) -> None:
    anna = (await registered(owner, ANNA))["id"]
    path = f"/v1/customers/{anna}"
    assert kind_of(await owner.patch(path, json={"city": "Kazan"})) == (
        428,
        "precondition-required",
    )
    seen_first = {"If-Match": '"2"'}
    changed = await owner.patch(
        path, json={"city": "Kazan", "birth_date": None, "custom": {"pets": 3}}, headers=seen_first
    )
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"3"')
    late = await owner.patch(path, json={"city": "Perm"}, headers=seen_first)
    assert kind_of(late) == (412, "precondition-failed")
    same = await owner.patch(path, json={"city": "Kazan"}, headers={"If-Match": '"3"'})
    assert (same.status_code, same.headers["ETag"]) == (200, '"3"')
    record = (await owner.get(path)).json()["record"]
    assert (record["city"], record["birth_date"], record["custom"]) == ("Kazan", None, {"pets": 3})
    wrong = await owner.patch(
        path,
        json={"birth_date": "2999-01-01", "time_zone": "Mars/Base", "custom": {"pets": "two"}},
        headers={"If-Match": "*"},
    )
    assert [each["field"] for each in wrong.json()["errors"]] == [
        "birth_date", "time_zone", "custom.pets",
    ]  # fmt: skip


async def test_the_chain_looks_after_a_customer(owner: httpx2.AsyncClient) -> None:
    anna = (await registered(owner, ANNA))["id"]
    path = f"/v1/customers/{anna}"
    await owner.post(f"{path}/tags", json={"add": ["sweet-tooth", "cat"]})
    await owner.post(f"{path}/tags", json={"remove": ["cat"]})
    await owner.put(f"{path}/discount", json={"discount": 750})
    assert kind_of(await owner.post(f"{path}/categories", json={"give": ["gold"]})) == (
        422, "invalid",
    )  # fmt: skip
    assert (await owner.put(f"{path}/status", json={"status": "active"})).status_code == 200
    back = await owner.put(f"{path}/status", json={"status": "new"})
    assert kind_of(back) == (409, "off-path")
    await owner.put(f"{path}/blacklisting", json={"reason": "returned worn shoes"})
    await owner.put(f"{path}/responsible", json={"employee": "e-17"})
    note = await owner.post(f"{path}/notes", json={"text": "asks for size 38"})
    assert note.status_code == 200
    await owner.post(f"{path}/archive")
    # At the till, whoever is found is told of at once.
    record = (await owner.get(path)).json()
    await seen(owner, anna, record["version"])
    found = (await owner.post("/v1/customers/find", json=EMAIL)).json()
    assert (found["blacklisted"], found["status"], found["tags"]) == (
        True, "active", ["sweet-tooth"],
    )  # fmt: skip
    assert record["tags"] == ["sweet-tooth"]
    assert record["discount"] == 750
    assert record["status"] == "active"
    assert record["blacklisting"] == {"reason": "returned worn shoes", "until": None}
    assert record["responsible"] == "e-17"
    assert [each["text"] for each in record["notes"]] == ["asks for size 38"]
    assert record["archived"]
    await owner.delete(f"{path}/blacklisting")
    await owner.post(f"{path}/restore")
    record = (await owner.get(path)).json()
    assert (record["blacklisting"], record["archived"]) == (None, False)


async def test_the_phone_of_a_family_belongs_to_nobody_alone(owner: httpx2.AsyncClient) -> None:
    family = {"kind": "phone", "value": "+4930123456", "shared": True}
    first = await owner.post("/v1/customers", json={"identifiers": [family]})
    second = await owner.post("/v1/customers", json={"identifiers": [family]})
    assert (first.status_code, second.status_code) == (201, 201)
    own = await owner.post("/v1/customers", json={"identifiers": [{**family, "shared": False}]})
    assert own.status_code == 201


async def test_of_fifty_who_register_one_phone_at_once_one_does(owner: httpx2.AsyncClient) -> None:
    phone = {"identifiers": [{"kind": "phone", "value": "+4930123456"}]}
    answers = await asyncio.gather(*(owner.post("/v1/customers", json=phone) for _ in range(50)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] + [409] * 49


async def test_a_document_is_kept_as_it_is_and_goes_with_its_file(
    owner: httpx2.AsyncClient,
) -> None:
    anna = (await registered(owner, ANNA))["id"]
    path = f"/v1/customers/{anna}/documents"
    content = b"%PDF" + bytes(range(256)) * 2000
    sent: Json = {
        "params": {"title": "contract"},
        "content": content,
        "headers": {"Content-Type": "application/pdf", "Idempotency-Key": "contract"},
    }
    first = await owner.post(path, **sent)
    second = await owner.post(path, **sent)
    assert [answer.json()["repeated"] for answer in (first, second)] == [False, True]
    (shown,) = (await owner.get(f"/v1/customers/{anna}")).json()["documents"]
    # 4 bytes and 2,000 times 256.
    assert (shown["title"], shown["media_type"], shown["size"]) == (
        "contract", "application/pdf", 512_004,
    )  # fmt: skip
    got = await owner.get(f"{path}/{shown['id']}")
    assert got.content == content
    assert got.headers["Content-Disposition"] == "attachment"
    assert (await owner.delete(f"{path}/{shown['id']}")).status_code == 200
    assert (await owner.get(f"{path}/{shown['id']}")).status_code == 404
    too_large = await owner.post(
        path, params={"title": "film"}, content=bytes(20 * 1024 * 1024 + 1)
    )
    assert kind_of(too_large) == (413, "body-too-large")


async def test_who_belongs_together_says_so_on_both_sides(owner: httpx2.AsyncClient) -> None:
    anna = (await registered(owner, ANNA))["id"]
    boris = (await registered(owner, {"surname": "Abramov"}))["id"]
    link = {"other": boris, "relation": "household"}

    async def links(customer: str) -> Json:
        return (await owner.get(f"/v1/customers/{customer}")).json()["links"]

    answers = [await owner.post(f"/v1/customers/{anna}/links", json=link) for _ in range(2)]
    # Registered and agreed, then linked; linked already, it is not done again.
    assert [answer.json()["version"] for answer in answers] == [3, 3]
    assert await links(anna) == [link]
    assert await links(boris) == [{"other": anna, "relation": "household"}]
    await owner.delete(f"/v1/customers/{boris}/links/household/{anna}")
    assert (await links(anna), await links(boris)) == ([], [])
    own = await owner.post(f"/v1/customers/{anna}/links", json={**link, "other": anna})
    assert kind_of(own) == (422, "invalid")
    nobody = await owner.post(f"/v1/customers/{anna}/links", json={**link, "other": "nobody"})
    assert kind_of(nobody) == (404, "not-found")
