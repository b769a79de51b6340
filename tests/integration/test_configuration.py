"""What the chain decides of itself, over HTTP and on real servers."""

from collections.abc import AsyncIterator, Awaitable
from typing import Any

import httpx2
import pytest

from services.customer.main import build
from shared.access import Role
from shared.settings import Settings
from shared.testing import LocalChain, eventually

Json = Any
ROOT = "/v1/configuration"
PETS = {
    "titles": {"en": "Pets", "de": "Haustiere"},
    "kind": "multi_list",
    "group": "needs",
    "purpose": "offers that fit",
    "retention": "P3Y",
    "choices": [{"name": "cat", "titles": {"en": "Cat"}}, {"name": "dog", "titles": {"en": "Dog"}}],
    "update_rule": {"every": "P365D", "how": "email", "by": "position", "position": "manager"},
}
GOLD = {"titles": {"en": "Gold"}, "colour": "#FFD700", "discount": 500}
SALES = {
    "titles": {"en": "Sales"},
    "stages": [{"stage": "new", "titles": {"en": "New"}, "probability": 1000}],
    "won": {"en": "Won"},
    "lost": {"en": "Lost"},
}
BERLIN = {"zone": "Europe/Berlin", "city": "Berlin"}


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


async def test_a_definition_is_put_read_changed_archived_and_restored(
    owner: httpx2.AsyncClient,
) -> None:
    path = f"{ROOT}/fields/pets"
    first = await done(owner.put(path, json=PETS))
    assert first.json() == {"name": "pets", "version": 1, "repeated": False}
    again = await done(owner.put(path, json=PETS))
    assert (again.json()["version"], again.headers["ETag"]) == (1, '"1"')
    seen = await done(owner.get(path))
    assert seen.json()["definition"]["update_rule"]["position"] == "manager"
    other = {**PETS, "purpose": "something else"}
    assert kind_of(await owner.put(path, json=other)) == (428, "precondition-required")
    changed = await done(owner.put(path, json=other, headers=match(first)))
    assert kind_of(await owner.put(path, json=PETS, headers=match(first))) == (
        412,
        "precondition-failed",
    )
    text = {**other, "kind": "text", "choices": []}
    refused = await owner.put(path, json=text, headers=match(changed))
    assert kind_of(refused) == (409, "field-fixed")
    assert kind_of(await owner.post(f"{path}/archive")) == (428, "precondition-required")
    archived = await done(owner.post(f"{path}/archive", headers=match(changed)))
    listed = (await done(owner.get(f"{ROOT}/fields"))).json()
    assert [(each["name"], each["archived"]) for each in listed["items"]] == [("pets", True)]
    # Defined, changed, archived.
    assert listed["number"] == 3
    await done(owner.post(f"{path}/restore", headers=match(archived)))
    assert kind_of(await owner.get(f"{ROOT}/fields/none")) == (404, "not-found")


async def test_categories_statuses_directories_and_rules_are_configured(
    owner: httpx2.AsyncClient,
) -> None:
    await done(owner.put(f"{ROOT}/categories/gold", json=GOLD))
    gold = (await done(owner.get(f"{ROOT}/categories/gold"))).json()["definition"]
    assert (gold["colour"], gold["discount"]) == ("#ffd700", 500)
    twin = await owner.put(f"{ROOT}/categories/oro", json=GOLD)
    assert kind_of(twin) == (409, "title-taken")

    statuses = (await done(owner.get(f"{ROOT}/statuses"))).json()["items"]
    assert len(statuses) == 5
    regular = {"titles": {"en": "Regular"}}
    await done(owner.put(f"{ROOT}/statuses/regular", json=regular))
    path = await done(owner.get(f"{ROOT}/status-path"))
    way = {"initial": "new", "moves": [{"before": "new", "after": "regular"}]}
    changed = await done(owner.put(f"{ROOT}/status-path", json=way, headers=match(path)))
    assert (await owner.get(f"{ROOT}/status-path")).json()["version"] == changed.json()["version"]
    wrong = {"initial": "none", "moves": []}
    refused = await owner.put(f"{ROOT}/status-path", json=wrong, headers=match(changed))
    assert refused.json()["errors"][0]["field"] == "initial"
    regular_now = await owner.get(f"{ROOT}/statuses/regular")
    busy = await owner.post(f"{ROOT}/statuses/regular/archive", headers=match(regular_now))
    assert kind_of(busy) == (409, "on-the-path")

    web = f"{ROOT}/directories/source/web"
    entry = await done(owner.put(web, json={"titles": {"en": "Web shop"}}))
    archived = await done(owner.post(f"{web}/archive", headers=match(entry)))
    assert (await owner.get(web)).json()["archived"] is True
    await done(owner.post(f"{web}/restore", headers=match(archived)))
    entries = (await done(owner.get(f"{ROOT}/directories/source"))).json()["items"]
    assert [each["name"] for each in entries] == ["web"]
    assert (await owner.get(f"{ROOT}/directories/colours")).status_code == 422

    rule = {"every": "P30D", "by": "responsible"}
    given = await done(owner.put(f"{ROOT}/update-rules/email", json=rule))
    rules = (await done(owner.get(f"{ROOT}/update-rules"))).json()["items"]
    assert [(each["attribute"], each["rule"]["every"]) for each in rules] == [("email", "P30D")]
    await done(owner.delete(f"{ROOT}/update-rules/email", headers=match(given)))
    assert (await done(owner.get(f"{ROOT}/update-rules"))).json()["items"] == []


async def test_what_a_customer_bought_is_said_in_the_words_of_the_chain(
    owner: httpx2.AsyncClient,
) -> None:
    level = {
        "titles": {"en": "Level"},
        "kind": "list",
        "group": "transactional",
        "purpose": "to know",
        "choices": [{"name": "none", "titles": {"en": "None"}}],
        "computed": {"of": "spending_level", "steps": [{"choice": "none", "least": 0}]},
    }
    await done(owner.put(f"{ROOT}/fields/level", json=level))
    written = await owner.post("/v1/customers", json={"custom": {"level": "none"}})
    assert written.json()["errors"][0]["field"] == "custom.level"
    made = (await done(owner.post("/v1/customers", json={"surname": "X"}))).json()
    path = f"/v1/customers/{made['id']}"
    await done(owner.get(path, params={"min_version": made["version"]}))
    found = await done(owner.get(f"{path}/computed"))
    assert found.json()["values"] == {"level": "none"}
    assert kind_of(await owner.get("/v1/customers/none/computed")) == (404, "not-found")

    async def listed(*levels: str) -> httpx2.Response:
        condition = {"kind": "custom", "field": "level", "any_of": levels}
        asked = {"where": [condition], "columns": ["custom.level"]}
        return await owner.post("/v1/customers/search", json=asked)

    rows = (await done(listed("none"))).json()["items"]
    assert [(row["id"], row["columns"]) for row in rows] == [(made["id"], {"custom.level": "none"})]
    assert (await listed("high")).json()["errors"][0]["field"] == "where.0.any_of.0"
    assert (await listed("none", "high")).json()["errors"][0]["field"] == "where.0.field"


async def test_wrong_definitions_are_refused_by_their_place(owner: httpx2.AsyncClient) -> None:
    for path, body, place in (
        ("fields/pets", {**PETS, "kind": "colour"}, "kind"),
        ("fields/pets", {**PETS, "titles": {}}, "titles"),
        ("fields/pets", {**PETS, "titles": {"English": "x"}}, "titles.English.[key]"),
        ("fields/pets", {**PETS, "retention": "long"}, "retention"),
        ("fields/pets", {**PETS, "choices": []}, "choices"),
        ("fields/Pets", PETS, "name"),
        ("categories/gold", {**GOLD, "colour": "gold"}, "colour"),
        ("categories/gold", {**GOLD, "discount": 10_001}, "discount"),
        ("update-rules/email", {"every": "P1Y"}, "rule.every"),
        ("update-rules/shoe", {"every": "P1D"}, "attribute"),
    ):
        refused = await owner.put(f"{ROOT}/{path}", json=body)
        assert kind_of(refused) == (422, "invalid"), (path, refused.text)
        assert [error["field"] for error in refused.json()["errors"]] == [place]


async def test_who_may_configure_what(chain: LocalChain, owner: httpx2.AsyncClient) -> None:
    async def caller(role: Role, *branches: str) -> dict[str, str]:
        key = await chain.key(role, branches=branches or None)
        return {"Authorization": f"Bearer {key}"}

    gold = f"{ROOT}/categories/gold"
    hired = {"name": "Eva", "position": "administrator"}
    cashier, manager = await caller(Role.CASHIER), await caller(Role.MANAGER)
    local = await caller(Role.MANAGER, "12")
    assert kind_of(await owner.put(gold, json=GOLD, headers=cashier)) == (403, "forbidden")
    assert kind_of(await owner.put(gold, json=GOLD, headers=local)) == (403, "out-of-scope")
    await done(owner.put(gold, json=GOLD, headers=manager))
    await done(owner.get(gold, headers=cashier))
    refused = await owner.post("/v1/employees", json=hired, headers=manager)
    assert kind_of(refused) == (403, "forbidden")
    await done(owner.post("/v1/employees", json={**hired, "branches": ["13"]}))
    whole = (await done(owner.post("/v1/employees", json=hired))).json()["id"]
    seen = (await done(owner.get("/v1/employees", headers=local))).json()["items"]
    # Whoever works for the whole chain works at branch 12 too; whose keys they have is not shown.
    assert [(each["id"], each["principals"]) for each in seen] == [(whole, None)]
    assert len((await done(owner.get("/v1/employees"))).json()["items"]) == 2


async def opened(owner: httpx2.AsyncClient, name: str, **more: Json) -> httpx2.Response:
    body = {"titles": {"en": f"Branch {name}"}, "place": BERLIN, **more}
    return await done(owner.put(f"/v1/branches/{name}", json=body))


async def test_closing_a_branch_moves_its_home_customers_and_a_revert_brings_them_back(
    owner: httpx2.AsyncClient,
) -> None:
    hours = [{"day": "monday", "opens": "09:00", "closes": "18:00"}]
    await opened(owner, "12", hours=hours)
    await opened(owner, "13")
    stayed, moved = [
        (await done(owner.post("/v1/customers", json={"home_branch": branch}))).json()["id"]
        for branch in ("13", "12")
    ]
    now = await done(owner.get("/v1/branches/12"))
    assert now.json()["hours"] == hours
    wrong = await owner.post(
        "/v1/branches/12/close", json={"customers_to": "14"}, headers=match(now)
    )
    assert wrong.json()["errors"][0]["field"] == "customers_to"
    await done(owner.post("/v1/branches/12/close", json={"customers_to": "13"}, headers=match(now)))
    closed = (await done(owner.get("/v1/branches/12"))).json()
    assert closed["closed"] is not None
    await ended(owner, closed["job"], "done")
    assert [await home(owner, each) for each in (stayed, moved)] == ["13", "13"]
    assert [each["branch"] for each in (await owner.get("/v1/branches")).json()["items"]] == ["13"]

    refused = await owner.post("/v1/customers", json={"home_branch": "12"})
    assert refused.json()["errors"][0]["field"] == "home_branch"

    await done(owner.post(f"/v1/hand-overs/{closed['job']}/revert"))
    failed = await ended(owner, closed["job"], "failed")
    assert failed["problem"] == "open it, then go on with the job"
    again = {"titles": {"en": "Branch 12"}, "place": BERLIN}
    before = await owner.get("/v1/branches/12")
    await done(owner.put("/v1/branches/12", json=again, headers=match(before)))
    await done(owner.post(f"/v1/jobs/{closed['job']}/resume"))
    await ended(owner, closed["job"], "reverted")
    assert [await home(owner, each) for each in (stayed, moved)] == ["13", "12"]


async def home(owner: httpx2.AsyncClient, customer: str) -> str:
    answer = await done(owner.get(f"/v1/customers/{customer}"))
    branch: str = answer.json()["record"]["home_branch"]
    return branch


async def ended(owner: httpx2.AsyncClient, job: str, state: str) -> Json:
    """The job, once it has come to a state."""

    async def look() -> Json | None:
        answer = await owner.get(f"/v1/jobs/{job}")
        found = answer.json()
        return found if answer.is_success and found["state"] == state else None

    return await eventually(look)


async def test_who_leaves_loses_the_keys_and_hands_over_in_a_job_that_can_be_taken_back(
    chain: LocalChain, owner: httpx2.AsyncClient
) -> None:
    key = await chain.key(Role.CASHIER)
    eva_calls = {"Authorization": f"Bearer {key}"}
    eva, bob = [
        (await done(owner.post("/v1/employees", json=body))).json()["id"]
        for body in (
            {"name": "Eva", "position": "seller", "principals": [f"key:{key.split('_')[1]}"]},
            {"name": "Bob", "position": "seller"},
        )
    ]
    customers = []
    for responsible in (eva, bob):
        body: Json = {"surname": "X"}
        customer = (await done(owner.post("/v1/customers", json=body))).json()["id"]
        path = f"/v1/customers/{customer}/responsible"
        await done(owner.put(path, json={"employee": responsible}))
        customers.append(customer)
    await done(owner.put("/v1/pipelines/sales", json=SALES))
    opening = {"customer": customers[0], "pipeline": "sales", "responsible": eva}
    deal, won = [(await done(owner.post("/v1/deals", json=opening))).json()["id"] for _ in range(2)]
    await done(owner.post(f"/v1/deals/{won}/win", json={}))
    now = await done(owner.get(f"/v1/employees/{eva}"))
    assert now.json()["name"] == "Eva"
    await done(
        owner.post(f"/v1/employees/{eva}/leave", json={"successor": bob}, headers=match(now))
    )
    gone = (await done(owner.get(f"/v1/employees/{eva}"))).json()
    assert gone["principals"] == []
    await ended(owner, gone["job"], "done")
    assert [await responsible_of(owner, each) for each in customers] == [bob, bob]
    assert kind_of(await owner.get(f"{ROOT}/fields", headers=eva_calls)) == (401, "unauthenticated")

    results = (await done(owner.get(f"/v1/jobs/{gone['job']}/results"))).json()["items"]
    assert [(each["id"], each["outcome"]) for each in results] == [
        (customers[0], "handed_over"),
        (deal, "handed_over"),
    ]
    await eventually(lambda: answers_for(owner, deal, bob))
    # What was won under Eva stays Eva's.
    assert await answers_for(owner, won, eva)
    left = await owner.get(f"/v1/employees/{eva}")
    await done(owner.post(f"/v1/employees/{eva}/return", headers=match(left)))
    await done(owner.post(f"/v1/hand-overs/{gone['job']}/revert"))
    await ended(owner, gone["job"], "reverted")
    assert [await responsible_of(owner, each) for each in customers] == [eva, bob]
    await eventually(lambda: answers_for(owner, deal, eva))


async def answers_for(owner: httpx2.AsyncClient, deal: str, employee: str) -> bool | None:
    answer = await done(owner.get(f"/v1/deals/{deal}"))
    return True if answer.json()["responsible"] == employee else None


async def test_the_name_of_somebody_who_left_is_erased_for_good(
    owner: httpx2.AsyncClient,
) -> None:
    hired = {"name": "Eva Sommer", "position": "seller"}
    eva = (await done(owner.post("/v1/employees", json=hired))).json()["id"]
    path, word = f"/v1/employees/{eva}", {"confirm": "erase"}
    assert kind_of(await owner.post(f"{path}/erase", json=word)) == (409, "works-here")
    now = await owner.get(path)
    await done(owner.post(f"{path}/leave", json={}, headers=match(now)))
    assert (await owner.post(f"{path}/erase", json={"confirm": "yes"})).status_code == 422
    for _ in range(2):
        await done(owner.post(f"{path}/erase", json=word))
    gone = await done(owner.get(path))
    assert (gone.json()["name"], gone.json()["position"]) == (None, "seller")
    back = await owner.post(f"{path}/return", headers=match(gone))
    assert kind_of(back) == (410, "erased")
    customer = (await done(owner.post("/v1/customers", json={"surname": "X"}))).json()["id"]
    nobody = await owner.put(f"/v1/customers/{customer}/responsible", json={"employee": eva})
    assert nobody.json()["errors"][0]["field"] == "employee"


async def responsible_of(owner: httpx2.AsyncClient, customer: str) -> str:
    answer = await done(owner.get(f"/v1/customers/{customer}"))
    employee: str = answer.json()["responsible"]
    return employee
