"""Whom a caller of some branches sees and touches, whatever the list has read by then."""

from dataclasses import replace

import httpx2
import pytest

from services.customer.domain.commands import ChangeRecord
from services.customer.handlers.customers import Request, carry_out
from shared.access import Role
from shared.decider import Refused
from shared.events.customer import RecordFields
from shared.testing import DAY
from tests.unit.deskwork import Chain, kind_of


async def registered(client: httpx2.AsyncClient, **body: object) -> str:
    answer = await client.post("/v1/customers", json={"surname": "Ivanova", **body})
    assert answer.status_code == 201, answer.text
    name: str = answer.json()["id"]
    return name


async def note(client: httpx2.AsyncClient, customer: str) -> httpx2.Response:
    return await client.post(f"/v1/customers/{customer}/notes", json={"text": "likes tea"})


async def test_who_was_just_registered_can_be_looked_after_before_the_list_has_read_it() -> None:
    chain = Chain()
    till = await chain.caller(Role.CASHIER, "12")
    anna = await registered(till, home_branch="12")
    assert (await note(till, anna)).status_code == 200


async def test_who_has_moved_is_out_of_reach_before_the_list_has_read_it() -> None:
    chain = Chain()
    owner, till = await chain.caller(Role.OWNER), await chain.caller(Role.CASHIER, "12")
    anna = await registered(owner, home_branch="12")
    await chain.read()
    moved = await owner.patch(
        f"/v1/customers/{anna}", json={"home_branch": "13"}, headers={"If-Match": "*"}
    )
    assert moved.status_code == 200
    assert kind_of(await note(till, anna)) == (403, "out-of-scope")


async def test_who_was_merged_is_of_the_branches_of_the_survivor() -> None:
    chain = Chain()
    owner, till = await chain.caller(Role.OWNER), await chain.caller(Role.CASHIER, "12")
    anna = await registered(owner, home_branch="12")
    boris = await registered(owner, home_branch="13")
    merged = await owner.post(f"/v1/customers/{anna}/merge", json={"into": boris})
    assert merged.status_code == 200, merged.text
    await chain.read()
    assert kind_of(await note(till, anna)) == (403, "out-of-scope")
    assert kind_of(await till.get(f"/v1/customers/{anna}")) == (403, "out-of-scope")


async def test_what_a_merge_left_with_the_loser_is_taken_away_under_either_id() -> None:
    chain = Chain()
    owner = await chain.caller(Role.OWNER)
    anna, boris = await registered(owner), await registered(owner)
    for customer in (anna, boris):
        for title in ("one", "two"):
            await note(owner, customer)
            sent = await owner.post(
                f"/v1/customers/{customer}/documents", params={"title": title}, content=b"%PDF"
            )
            assert sent.status_code == 200, sent.text
    await owner.post(f"/v1/customers/{anna}/merge", json={"into": boris})
    shown = (await owner.get(f"/v1/customers/{boris}")).json()
    assert (len(shown["documents"]), len(shown["notes"])) == (4, 4)
    # Each kind has two of each customer; one of either is taken away under the one id, the other
    # under the other.
    for index, named in enumerate((anna, boris, boris, anna)):
        for kind in ("documents", "notes"):
            gone = shown[kind][index]["id"]
            answer = await owner.delete(f"/v1/customers/{named}/{kind}/{gone}")
            assert answer.status_code == 200, answer.text
            left = (await owner.get(f"/v1/customers/{named}")).json()[kind]
            assert gone not in [each["id"] for each in left]
            assert len(left) == 3 - index
            for each in left if kind == "documents" else ():
                file = await owner.get(f"/v1/customers/{boris}/documents/{each['id']}")
                assert file.content == b"%PDF"


async def test_a_version_of_the_loser_is_no_version_of_the_survivor() -> None:
    chain = Chain()
    owner = await chain.caller(Role.OWNER)
    anna, boris = await registered(owner), await registered(owner)
    await note(owner, anna)
    seen = await owner.get(f"/v1/customers/{anna}")
    assert seen.headers["ETag"] == '"2"'
    # Registered, then absorbed Anna: Boris is at version 2 as well.
    await owner.post(f"/v1/customers/{anna}/merge", json={"into": boris})
    patch = {"city": "Riga"}
    path = f"/v1/customers/{anna}"
    stale = await owner.patch(path, json=patch, headers={"If-Match": '"2"'})
    assert kind_of(stale) == (412, "precondition-failed")
    assert (await owner.get(f"/v1/customers/{boris}")).headers["ETag"] == '"2"'
    now = await owner.get(path)
    assert now.headers["ETag"] == f'"2-{boris}"'
    changed = await owner.patch(path, json=patch, headers={"If-Match": now.headers["ETag"]})
    assert (changed.status_code, changed.headers["ETag"]) == (200, f'"3-{boris}"')
    assert changed.json()["id"] == boris
    again = await owner.patch(path, json={"city": "Oslo"}, headers={"If-Match": f'"2-{boris}"'})
    assert kind_of(again) == (412, "precondition-failed")


async def test_what_rests_on_a_version_is_not_carried_out_on_a_survivor_of_the_meantime() -> None:
    chain = Chain()
    owner = await chain.caller(Role.OWNER)
    anna, boris = await registered(owner), await registered(owner)
    await owner.post(f"/v1/customers/{anna}/merge", json={"into": boris})
    change = ChangeRecord(customer=anna, at=DAY, fields=RecordFields(city="Riga"))
    for version in (2, 1):
        late = replace(change, if_match=frozenset({version}))
        with pytest.raises(Refused) as caught:
            await carry_out(chain.writer, Request(f"late {version}", "", DAY), late)
        assert caught.value.type == "precondition-failed"
    done = await carry_out(chain.writer, Request("any", "", DAY), change)
    assert done.stream == f"customer-{boris}"


async def test_who_bought_at_a_branch_is_looked_after_there_and_keeps_the_home() -> None:
    chain = Chain()
    owner, till = await chain.caller(Role.OWNER), await chain.caller(Role.CASHIER, "12")
    anna = await registered(owner, home_branch="13")
    path = f"/v1/customers/{anna}"
    assert kind_of(await till.get(path)) == (403, "out-of-scope")
    await chain.bought(anna, "12")
    assert (await till.get(path)).status_code == 200
    assert (await note(till, anna)).status_code == 200
    anything = {"If-Match": "*"}
    patched = await till.patch(path, json={"city": "Riga"}, headers=anything)
    assert patched.status_code == 200, patched.text
    for home in ("12", "14", None):
        taken = await till.patch(path, json={"home_branch": home}, headers=anything)
        assert kind_of(taken) == (403, "out-of-scope")


async def test_who_speaks_for_a_company_is_who_they_are_by_now() -> None:
    chain = Chain()
    owner = await chain.caller(Role.OWNER)
    anna, boris = await registered(owner), await registered(owner)
    made = await owner.post("/v1/companies", json={"name": "Nordwind"})
    path = f"/v1/companies/{made.json()['id']}"
    contact = {"position": "buyer", "decides": True}
    anything = {"If-Match": "*"}
    for customer in (anna, boris):
        await owner.put(f"{path}/contacts/{customer}", json=contact, headers=anything)
    await owner.post(f"/v1/customers/{anna}/merge", json={"into": boris})
    await chain.read()
    one = [{"customer": boris, "position": "buyer", "decides": True}]
    assert (await owner.get(path)).json()["contacts"] == one
    for customer in (anna, boris):
        found = await owner.get("/v1/companies", params={"customer": customer})
        assert [each["contacts"] for each in found.json()["items"]] == [one]
    # Whichever id is named, the person speaks for it no longer.
    gone = await owner.delete(f"{path}/contacts/{boris}", headers=anything)
    assert gone.status_code == 200, gone.text
    assert (await owner.get(path)).json()["contacts"] == []
    erase = {"confirm": "erase", "reason": "request"}
    erased = await owner.post(f"/v1/customers/{boris}/erase", json=erase)
    assert erased.status_code == 200, erased.text
    refused = await owner.put(f"{path}/contacts/{boris}", json=contact, headers=anything)
    assert kind_of(refused) == (422, "invalid")


async def test_another_file_under_the_same_key_is_refused_and_the_first_one_stays() -> None:
    chain = Chain()
    owner = await chain.caller(Role.OWNER)
    path = f"/v1/customers/{await registered(owner)}/documents"
    key = {"Idempotency-Key": "contract"}
    answers = [
        await owner.post(path, params={"title": "contract"}, content=content, headers=key)
        for content in (b"first", b"first", b"other")
    ]
    assert [each.status_code for each in answers] == [200, 200, 422]
    assert kind_of(answers[2]) == (422, "command-differs")
    (shown,) = (await owner.get(path.removesuffix("/documents"))).json()["documents"]
    assert (await owner.get(f"{path}/{shown['id']}")).content == b"first"
