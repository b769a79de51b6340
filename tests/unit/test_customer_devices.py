"""A device belongs to the last customer who showed its token, and to nobody else."""

import httpx2

from shared.access import Role
from tests.unit.deskwork import Chain, kind_of

TOKEN = {"kind": "push", "value": "fcm:dGhpcw:APA91b"}


async def registered(owner: httpx2.AsyncClient, surname: str) -> str:
    made = await owner.post("/v1/customers", json={"surname": surname})
    return f"/v1/customers/{made.json()['id']}"


async def kinds_of(owner: httpx2.AsyncClient, path: str) -> list[str]:
    return [each["kind"] for each in (await owner.get(path)).json()["identifiers"]]


async def test_a_token_goes_to_who_shows_it_last_and_consents_bound_to_it_end() -> None:
    chain = Chain()
    owner = await chain.caller(Role.OWNER)
    anna, boris = await registered(owner, "Ivanova"), await registered(owner, "Petrov")
    assert (await owner.post(f"{anna}/identifiers", json=TOKEN)).status_code == 200
    (shown,) = (await owner.get(anna)).json()["identifiers"]
    consent = {"topic": "news", "channel": "push", "source": "app", "contact": shown["hash"]}
    assert (await owner.post(f"{anna}/consents", json=consent)).status_code == 200
    key = {"Idempotency-Key": "shown"}
    first = await owner.post(f"{boris}/identifiers", json=TOKEN, headers=key)
    again = await owner.post(f"{boris}/identifiers", json=TOKEN, headers=key)
    assert [each.status_code for each in (first, again)] == [200, 200]
    assert again.json()["repeated"]
    assert (await kinds_of(owner, anna), await kinds_of(owner, boris)) == ([], ["push"])
    said = (await owner.get(f"{anna}/consents")).json()["current"]
    assert [(each["topic"], each["given"]) for each in said] == [("news", False)]


async def test_a_token_is_masked_for_everybody_and_other_contacts_are_not() -> None:
    owner = await Chain().caller(Role.OWNER)
    anna = await registered(owner, "Ivanova")
    await owner.post(f"{anna}/identifiers", json=TOKEN)
    await owner.post(f"{anna}/identifiers", json={"kind": "card", "value": "12345678"})
    shown = {each["kind"]: each["value"] for each in (await owner.get(anna)).json()["identifiers"]}
    assert shown == {"push": "•••1b", "card": "12345678"}


async def test_a_phone_does_not_change_hands_like_a_device() -> None:
    owner = await Chain().caller(Role.OWNER)
    anna, boris = await registered(owner, "Ivanova"), await registered(owner, "Petrov")
    phone = {"kind": "phone", "value": "+4930123456"}
    assert (await owner.post(f"{anna}/identifiers", json=phone)).status_code == 200
    taken = await owner.post(f"{boris}/identifiers", json=phone)
    assert kind_of(taken) == (409, "identifier-taken")
    assert await kinds_of(owner, anna) == ["phone"]
