"""Public forms as people and robots meet them, on real servers."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from services.customer.domain.customer import CUSTOMER
from services.customer.domain.state import Customer, stream_of
from services.customer.handlers import forms as handling
from services.customer.main import build
from shared.mongo import Database, connect
from shared.process import Kernel
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.mail_server import MailServer, mail_server

Json = Any
SUBSCRIBE = {
    "titles": {"en": "News <of> the shops", "ru": "Новости"},
    "fields": [
        {"attribute": "email", "titles": {"en": "E-mail", "ru": "Почта"}, "required": True},
        {"attribute": "phone", "titles": {"en": "Phone"}},
        {"attribute": "name", "titles": {"en": "Name"}},
        {"attribute": "custom.pets", "titles": {"en": "Pets"}},
    ],
    "consents": [
        {
            "topic": "marketing",
            "channel": "email",
            "wording": "2017-1",
            "texts": {"en": "Yes, write to me.", "ru": "Да."},
            "required": True,
        },
        {
            "topic": "marketing",
            "channel": "sms",
            "wording": "2017-1",
            "texts": {"en": "Yes, text me."},
        },
    ],
    "promise": {"coupon": "HELLO-5", "titles": {"en": "5 % off"}},
    "branch": "12",
    "source": "web",
    "tags": ["form"],
}
PETS = {"titles": {"en": "Pets"}, "kind": "number", "purpose": "gifts"}
NEWS = "consent.marketing.email.2017-1"
ANNA = {
    "email": "Anna@Example.com",
    "name": "<Anna>",
    NEWS: "yes",
    "custom.pets": "2",
}
CODE = re.compile(r"code is (\d{6})")


@dataclass(frozen=True, slots=True)
class Shop:
    """A chain with a form, a browser without a key, and the mails that it gets."""

    chain: LocalChain
    owner: httpx2.AsyncClient
    browser: httpx2.AsyncClient
    mails: MailServer
    kernel: Kernel

    async def define(self, body: Json = SUBSCRIBE, name: str = "subscribe") -> None:
        answer = await self.owner.put(f"/v1/configuration/forms/{name}", json=body)
        assert answer.is_success, answer.text

    async def token(self, name: str = "subscribe") -> str:
        page = await self.browser.get(f"/forms/{name}")
        assert page.status_code == 200, page.text
        return token_in(page.text)

    async def send(
        self, answers: Json = ANNA, name: str = "subscribe", token: str | None = None
    ) -> httpx2.Response:
        token = token or await self.token(name)
        return await self.browser.post(f"/forms/{name}", data={**answers, "token": token})

    async def confirm(self, sent: httpx2.Response, code: str) -> httpx2.Response:
        data = {"token": token_in(sent.text), "code": code}
        return await self.browser.post("/forms/subscribe/confirm", data=data)

    def code(self) -> str:
        found = CODE.search(self.mails.taken[-1].get_content())
        assert found is not None
        return found[1]

    async def find_soon(self, kind: str, value: str) -> Customer:
        return await eventually(lambda: self.find(kind, value))

    async def find(self, kind: str, value: str) -> Customer | None:
        answer = await self.owner.get("/v1/customers")
        for item in answer.json()["items"]:
            state, _ = await self.kernel.writer.state(CUSTOMER, stream_of(item["id"]))
            found = [(each.kind, each.value) for each in state.identifiers.values()]
            if (kind, value) in found:
                return state
        return None


def token_in(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


@pytest.fixture
async def shop(chain: LocalChain, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setattr(handling, "FASTEST", timedelta(0))
    async with mail_server() as mails:
        settings = chain.settings(Settings, smtp_url=mails.url)
        kernel = Kernel.unconnected(settings, "customer")
        async with chain.running(build, settings) as owner:
            answer = await owner.put("/v1/configuration/fields/pets", json=PETS)
            assert answer.is_success, answer.text
            yield Shop(chain, owner, owner, mails, kernel)
        await kernel.close()


async def test_the_form_is_plain_html_that_loads_nothing_and_says_it_in_two_languages(
    shop: Shop,
) -> None:
    await shop.define()
    # Nobody asks for a key here.
    del shop.browser.headers["Authorization"]
    page = await shop.browser.get("/forms/subscribe", params={"lang": "ru"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy + page.text
    assert '<html lang="ru">' in page.text
    assert "Новости" in page.text
    accepted = await shop.browser.get(
        "/forms/subscribe", headers={"Accept-Language": "de, en;q=0.8"}
    )
    assert "News &lt;of&gt; the shops" in accepted.text
    assert "<of>" not in accepted.text
    missing = await shop.browser.get("/forms/nothing")
    assert (missing.status_code, "There is no such form." in missing.text) == (404, True)


async def test_who_confirms_the_code_is_registered_with_evidence_and_gets_the_coupon_once(
    shop: Shop,
) -> None:
    await shop.define()
    sent = await shop.send({**ANNA, "phone": "+79990000001", "consent.marketing.sms.2017-1": "yes"})
    assert sent.status_code == 200, sent.text
    assert "HELLO-5" not in sent.text
    # Nothing is anybody's before the code.
    assert (await shop.owner.get("/v1/customers")).json()["items"] == []
    done = await shop.confirm(sent, shop.code())
    assert (done.status_code, "HELLO-5" in done.text) == (200, True)
    anna = await shop.find_soon("email", "anna@example.com")
    assert (anna.record.name, anna.record.home_branch) == ("<Anna>", "12")
    assert (anna.record.acquisition, anna.record.custom) == ("web", {"pets": 2})
    assert anna.tags == {"form"}
    states = {each.kind: each.state for each in anna.identifiers.values()}
    assert states == {"email": "verified", "phone": None}
    hashes = {each.kind: each.hash for each in anna.identifiers.values()}
    # The code proves the address that it was mailed to, and not the phone.
    for channel, kind, proved in (("email", "email", True), ("sms", "phone", None)):
        standing = anna.consents["marketing", channel, hashes[kind]]  # type: ignore[index]  # a channel
        assert standing.evidence is not None
        told = standing.evidence
        assert (told.source, told.wording, told.confirmed) == ("form:subscribe", "2017-1", proved)
    # The same page sent again says the same; another form of the same person gives nothing more.
    assert "HELLO-5" in (await shop.confirm(sent, shop.code())).text
    again = await shop.send({**ANNA, "name": "Anya"})
    done = await shop.confirm(again, shop.code())
    assert "HELLO-5" not in done.text
    assert "given to you already" in done.text
    anna = await shop.find_soon("email", "anna@example.com")
    assert anna.record.name == "Anya"


async def test_nobody_learns_whether_somebody_is_known_and_nobody_takes_a_phone(
    shop: Shop,
) -> None:
    await shop.define()
    phone = {"kind": "phone", "value": "+79990000001"}
    email = {"kind": "email", "value": "boris@example.com"}
    known = await shop.owner.post(
        "/v1/customers", json={"surname": "B", "identifiers": [phone, email]}
    )
    assert known.status_code == 201, known.text
    pages = []
    for address in ("boris@example.com", "anna@example.com"):
        token = await shop.token()
        sent = await shop.send({**ANNA, "email": address}, token=token)
        pages.append(sent.text.replace(token_in(sent.text), ""))
    assert pages[0] == pages[1]
    sent = await shop.send({**ANNA, "phone": phone["value"], "consent.marketing.sms.2017-1": "yes"})
    assert (await shop.confirm(sent, shop.code())).status_code == 200
    anna = await shop.find_soon("email", "anna@example.com")
    assert [each.kind for each in anna.identifiers.values()] == ["email"]
    assert [key[:2] for key in anna.consents] == [("marketing", "email")]


async def test_a_code_is_guessed_five_times_at_most_and_forms_are_sent_once(shop: Shop) -> None:
    await shop.define()
    token = await shop.token()
    sent = await shop.send(token=token)
    right = shop.code()
    wrong = "000000" if right != "000000" else "111111"
    answers = [(await shop.confirm(sent, wrong)).status_code for _ in range(5)]
    assert answers == [422] * 5
    assert (await shop.confirm(sent, right)).status_code == 410
    again = await shop.send(token=token)
    assert (again.status_code, "sent already" in again.text) == (409, True)
    # Three mails an hour go to an address; the page is the same for more.
    for _ in range(3):
        assert (await shop.send()).status_code == 200
    assert len(shop.mails.taken) == 3
    foreign = await shop.browser.post(
        "/forms/subscribe", data={**ANNA, "token": token_in(sent.text)}
    )
    assert foreign.status_code == 401


async def test_robots_come_to_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.define()
    trapped = await shop.send({**ANNA, "website": "http://spam.example"})
    assert trapped.status_code == 200
    assert (await shop.confirm(trapped, "123456")).status_code == 410
    assert shop.mails.taken == []
    monkeypatch.setattr(handling, "FASTEST", timedelta(seconds=30))
    quick = await shop.send()
    assert (quick.status_code, "very quick" in quick.text) == (422, True)
    assert shop.mails.taken == []
    for body, kind, status in (
        ("x=" + "y" * 40_000, "application/x-www-form-urlencoded", 413),
        ("&".join(["a=1"] * 300), "application/x-www-form-urlencoded", 400),
        ("{}", "application/json", 415),
        ("a=%FF", "application/x-www-form-urlencoded", 400),
    ):
        answer = await shop.browser.post(
            "/forms/subscribe", content=body, headers={"Content-Type": kind}
        )
        assert answer.status_code == status, body[:20]
    flood = [
        (await shop.browser.post("/forms/subscribe", data={"a": "1"})).status_code
        for _ in range(70)
    ]
    assert (flood[0], flood[-1]) == (401, 429)


async def test_what_is_wrong_is_marked_and_what_was_typed_stays_escaped(shop: Shop) -> None:
    await shop.define()
    answer = await shop.send(
        {"email": '"><script>alert(1)</script>', "custom.pets": "many", "phone": "abc"}
    )
    assert answer.status_code == 422
    assert "<script>" not in answer.text
    for name in ("email", "custom.pets", "phone"):
        assert f'id="{name}-wrong"' in answer.text
    assert (
        '<p class="wrong"><input type="checkbox" id="consent.marketing.email.2017-1"' in answer.text
    )
    assert 'id="name-wrong"' not in answer.text
    # The same token counts: nothing was sent yet.
    fixed = await shop.send(token=token_in(answer.text))
    assert fixed.status_code == 200
    shop.mails.answers["MAIL"] = "451 later"
    away = await shop.send()
    assert (away.status_code, "cannot send mail" in away.text) == (503, True)


async def test_of_many_confirmations_of_one_person_at_once_one_gives_the_coupon(
    shop: Shop,
) -> None:
    await shop.define()
    sent = []
    for _ in range(3):
        page = await shop.send()
        sent.append((page, shop.code()))
    done = await asyncio.gather(*(shop.confirm(page, code) for page, code in sent))
    assert [each.status_code for each in done] == [200] * 3
    assert sum("HELLO-5" in each.text for each in done) == 1
    await shop.find_soon("email", "anna@example.com")
    assert len((await shop.owner.get("/v1/customers")).json()["items"]) == 1


async def test_without_confirmation_nothing_that_is_there_is_changed(shop: Shop) -> None:
    body = {**SUBSCRIBE, "confirmation": "none"}
    refused = await shop.owner.put("/v1/configuration/forms/quick", json=body)
    assert refused.json()["errors"][0]["field"] == "promise"
    del body["promise"]
    await shop.define(body, "quick")
    done = await shop.send(name="quick")
    assert (done.status_code, "got everything" in done.text) == (200, True)
    anna = await shop.find_soon("email", "anna@example.com")
    assert {each.state for each in anna.identifiers.values()} == {None}
    consent = next(iter(anna.consents.values()))
    assert consent.evidence is not None
    assert consent.evidence.confirmed is None
    assert (await shop.send({**ANNA, "name": "Mallory"}, name="quick")).status_code == 200
    anna = await shop.find_soon("email", "anna@example.com")
    assert anna.record.name == "<Anna>"
    assert len(shop.mails.taken) == 0


async def test_what_waits_for_its_code_is_sealed(shop: Shop) -> None:
    await shop.define()
    sent = await shop.send()
    assert sent.status_code == 200
    client = connect(shop.chain.servers.mongo_url)
    try:
        database = Database(client, f"{shop.chain.prefix}customer")
        kept = str(await database.collection("form_entries").find({}))
    finally:
        client.close()
    assert "submission|" in kept
    assert not [word for word in ("anna", "Anna", shop.code()) if word in kept]
