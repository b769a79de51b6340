"""Companies over HTTP, on real servers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import httpx2
import pytest

from services.customer.main import build
from shared.access import Role
from shared.settings import Settings
from shared.testing import LocalChain, eventually

NORDWIND = {"name": "Nordwind  GmbH", "tax_id": "de 123-456", "industry": "catering"}


@pytest.fixture
async def owner(chain: LocalChain) -> AsyncIterator[httpx2.AsyncClient]:
    """The service of this test alone, as its owner calls it."""
    async with chain.running(build, chain.settings(Settings)) as client:
        yield client


def kind_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:regulars:problem:")


def match(answer: httpx2.Response) -> dict[str, str]:
    return {"If-Match": answer.headers["ETag"]}


async def done(asked: Awaitable[httpx2.Response]) -> httpx2.Response:
    answer = await asked
    assert answer.is_success, answer.text
    return answer


async def names(owner: httpx2.AsyncClient, headers: dict[str, str], **asked: str) -> list[str]:
    answer = await done(owner.get("/v1/companies", params=asked, headers=headers))
    return [each["name"] for each in answer.json()["items"]]


async def test_a_company_is_registered_found_changed_archived_and_restored(
    owner: httpx2.AsyncClient,
) -> None:
    first = await done(owner.post("/v1/companies", json=NORDWIND))
    path = f"/v1/companies/{first.json()['id']}"
    await done(owner.post("/v1/companies", json={"name": "Ёлка"}))
    await done(owner.get(path, params={"min_version": 1}))
    for asked in ({"name": "nordwind g"}, {"tax_id": "DE123456"}):
        assert await names(owner, {}, **asked) == ["Nordwind  GmbH"]
    await eventually(lambda: seen(owner, "елка"))
    assert await names(owner, {}, name="gmbh") == []
    page = (await done(owner.get("/v1/companies", params={"limit": 1}))).json()
    rest = {"limit": 1, "cursor": page["next_cursor"]}
    following = (await done(owner.get("/v1/companies", params=rest))).json()
    assert [page["items"][0]["name"], following["items"][0]["name"]] == ["Nordwind  GmbH", "Ёлка"]
    assert following["next_cursor"] is None

    assert kind_of(await owner.patch(path, json={"size": "small"})) == (
        428,
        "precondition-required",
    )
    patch = {"size": "small", "industry": None}
    changed = await done(owner.patch(path, json=patch, headers=match(first)))
    assert kind_of(await owner.patch(path, json={"size": "large"}, headers=match(first))) == (
        412,
        "precondition-failed",
    )
    archived = await done(owner.post(f"{path}/archive", headers=match(changed)))
    now = await done(owner.get(path, params={"min_version": 3}))
    assert (now.json()["size"], now.json()["industry"], now.json()["archived"]) == (
        "small",
        None,
        True,
    )
    assert await names(owner, {}, name="nordwind") == []
    assert await names(owner, {}, name="nordwind", archived="true") == ["Nordwind  GmbH"]
    await done(owner.post(f"{path}/restore", headers=match(archived)))
    assert kind_of(await owner.get("/v1/companies/none")) == (404, "not-found")


async def seen(owner: httpx2.AsyncClient, name: str) -> bool | None:
    return True if await names(owner, {}, name=name) else None


async def test_of_fifty_who_register_one_tax_id_one_gets_it(owner: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(owner.post("/v1/companies", json=NORDWIND) for _ in range(50)))
    winners = [each for each in answers if each.status_code == 201]
    refused = [each for each in answers if each.status_code != 201]
    assert (len(winners), {kind_of(each) for each in refused}) == (1, {(409, "tax-id-taken")})
    winner = winners[0].json()["id"]
    assert {each.json()["owner"] for each in refused} == {winner}
    # Once it is let go, another company may have it.
    headers = match(winners[0])
    await done(owner.patch(f"/v1/companies/{winner}", json={"tax_id": None}, headers=headers))
    await done(owner.post("/v1/companies", json=NORDWIND))


async def test_customers_speak_for_companies(owner: httpx2.AsyncClient) -> None:
    anna = (await done(owner.post("/v1/customers", json={"surname": "Ivanova"}))).json()["id"]
    first = await done(owner.post("/v1/companies", json=NORDWIND))
    path = f"/v1/companies/{first.json()['id']}"
    body = {"position": "buyer", "decides": True}
    set_contact = await done(owner.put(f"{path}/contacts/{anna}", json=body, headers=match(first)))
    nobody = await owner.put(f"{path}/contacts/none", json=body, headers=match(set_contact))
    assert nobody.json()["errors"][0]["field"] == "customer"
    seen_now = (await done(owner.get(path, params={"min_version": 2}))).json()
    assert seen_now["contacts"] == [{"customer": anna, "position": "buyer", "decides": True}]
    assert await names(owner, {}, customer=anna) == ["Nordwind  GmbH"]
    gone = await done(owner.delete(f"{path}/contacts/{anna}", headers=match(set_contact)))
    await done(owner.get(path, params={"min_version": gone.json()["version"]}))
    assert await names(owner, {}, customer=anna) == []


async def test_a_caller_of_a_branch_sees_its_companies_and_those_of_the_chain(
    chain: LocalChain, owner: httpx2.AsyncClient
) -> None:
    key = await chain.key(Role.MANAGER, branches=["12"])
    local = {"Authorization": f"Bearer {key}"}
    made = [
        await done(owner.post("/v1/companies", json={"name": name, "branch": branch}))
        for name, branch in (("Ours", "12"), ("Theirs", "13"), ("All", None))
    ]
    for each in made:
        await done(owner.get(f"/v1/companies/{each.json()['id']}", params={"min_version": 1}))
    assert await names(owner, local) == ["All", "Ours"]
    ours, theirs, chains = [f"/v1/companies/{each.json()['id']}" for each in made]
    assert kind_of(await owner.get(theirs, headers=local)) == (404, "not-found")
    headers = {**local, "If-Match": "*"}
    await done(owner.patch(ours, json={"size": "small"}, headers=headers))
    for path in (theirs, chains):
        refused = await owner.patch(path, json={"size": "small"}, headers=headers)
        assert kind_of(refused) == (403, "out-of-scope")
    taken = {"name": "X", "branch": "12", "tax_id": "DE123456"}
    owner_of_it = (await done(owner.post("/v1/companies", json=NORDWIND))).json()["id"]
    refused = await owner.post("/v1/companies", json=taken, headers=local)
    assert kind_of(refused) == (409, "tax-id-taken")
    assert owner_of_it not in refused.text
    reader = {"Authorization": f"Bearer {await chain.key(Role.READER)}"}
    assert kind_of(await owner.post("/v1/companies", json=taken, headers=reader)) == (
        403,
        "forbidden",
    )


async def test_wrong_companies_are_refused_by_their_place(owner: httpx2.AsyncClient) -> None:
    for body, place in (
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "X", "tax_id": "12 34 ä"}, "tax_id"),
        ({"name": "X", "tax_id": "1" * 21}, "tax_id"),
        ({"name": "X", "size": "huge"}, "size"),
        ({"name": "X", "company_type": "A B"}, "company_type"),
        ({"name": "X", "chief": "Eva"}, "chief"),
    ):
        refused = await owner.post("/v1/companies", json=body)
        assert kind_of(refused) == (422, "invalid"), body
        assert [error["field"] for error in refused.json()["errors"]] == [place]
