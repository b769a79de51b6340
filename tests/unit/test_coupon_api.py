"""Pools, codes and senders over HTTP, on memory: what is shown to whom, and what is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import httpx2
import pytest

from services.notify.api import CampaignApi
from services.notify.api.coupons import CouponApi
from services.notify.api.senders import SenderApi
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.coupon_pools import PoolBook
from services.notify.handlers.books.senders import SenderBook
from services.notify.queries.coupons import CouponCounts, GivenCoupons
from shared.access import Authenticator, Role, issue
from shared.http import build_app
from shared.memory import MemoryApiKeys
from shared.testing import DAY, client_of
from shared.testing.collections import MemoryQuestions
from tests.unit.test_campaigns_api import MISS_YOU
from tests.unit.test_coupon_receipts import Shop, receipt

SECRET = bytes(32)
SPRING = {"title": "Spring", "valid_for": "P14D", "prefix": "SPRING"}
CINEMA = {"title": "Cinema", "codes": "imported"}
Json = Any


@dataclass(slots=True)
class Counted:
    """The codes of a shop; the sums of the database are asked elsewhere."""

    questions: GivenCoupons
    counts: list[CouponCounts] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the questions have
        return getattr(self.questions, name)

    async def figures(self, _pool: str) -> list[CouponCounts]:
        return self.counts


@dataclass(slots=True)
class Desk:
    """A shop whose coupons are shown over HTTP."""

    shop: Shop = field(default_factory=Shop)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    counted: Counted = field(init=False)

    def __post_init__(self) -> None:
        questions = cast("Any", MemoryQuestions(self.shop.documents))
        self.counted = Counted(GivenCoupons(questions))

    async def caller(self, role: Role, *branches: str) -> httpx2.AsyncClient:
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        shop = self.shop
        coupons = cast("GivenCoupons", self.counted)
        campaigns = CampaignApi(
            shop.writer, CampaignBook(shop.store), cast("Any", None), shop.clock,
            frozenset({"email"}),
        )  # fmt: skip
        app = build_app(
            title="test",
            service="notify",
            routers=[
                CouponApi(PoolBook(shop.writer), coupons, shop.clock).router(),
                SenderApi(SenderBook(shop.writer), shop.clock).router(),
                campaigns.router(),
            ],
            authenticator=Authenticator(self.keys, SECRET),
            readiness=_ready,
        )
        return client_of(app, text)


async def _ready() -> Mapping[str, bool | str]:
    return {}


def problem(answer: httpx2.Response) -> tuple[int, str, list[str]]:
    body = answer.json()
    fields = [error["field"] for error in body.get("errors", [])]
    return answer.status_code, body["type"].removeprefix("urn:regulars:problem:"), fields


async def test_a_pool_is_shown_as_it_was_defined_and_changed_by_who_has_seen_it() -> None:
    owner = await Desk().caller(Role.OWNER)
    path = "/v1/coupon-pools/spring"
    first = await owner.put(path, json=SPRING)
    assert (first.status_code, first.headers["ETag"]) == (200, '"1"')
    shown = {
        "name": "spring", "version": 1, "title": "Spring", "codes": "generated", "letters": 8,
        "prefix": "SPRING", "valid_for": "P14D", "valid_until": None, "uses": 1,
        "referring": None, "issued": 0, "left": None,
    }  # fmt: skip
    assert (await owner.get(path)).json() == shown
    other = {**SPRING, "title": "Spring 2018"}
    assert problem(await owner.put(path, json=other))[0] == 428
    changed = await owner.put(path, json=other, headers={"If-Match": '"1"'})
    assert changed.json() == {**shown, "title": "Spring 2018", "version": 2}
    assert [each["name"] for each in (await owner.get("/v1/coupon-pools")).json()["items"]] == [
        "spring"
    ]
    assert problem(await owner.get("/v1/coupon-pools/none"))[:2] == (404, "not-found")
    wrong = await owner.put("/v1/coupon-pools/x", json={**SPRING, "valid_for": "P1M"})
    assert problem(wrong) == (422, "invalid", ["valid_for"])


async def test_codes_that_were_given_keep_their_look_so_that_no_occasion_gets_a_second_one() -> (
    None
):
    desk = Desk()
    owner = await desk.caller(Role.OWNER)
    path = "/v1/coupon-pools/spring"
    await owner.put(path, json=SPRING)
    mended = await owner.put(path, json={**SPRING, "letters": 9}, headers={"If-Match": '"1"'})
    assert (mended.status_code, mended.json()["letters"]) == (200, 9)
    await desk.shop.given("SPRING-K7QM", "anna")
    await desk.shop.read()
    for other in ({"letters": 8}, {"letters": 9, "prefix": "SUMMER"}):
        refused = await owner.put(path, json={**SPRING, **other}, headers={"If-Match": '"2"'})
        assert problem(refused)[:2] == (409, "pool-fixed")


async def test_a_code_is_good_as_often_as_its_pool_said_when_it_was_given() -> None:
    desk = Desk()
    owner = await desk.caller(Role.OWNER)
    await owner.put("/v1/coupon-pools/spring", json=SPRING)
    await desk.shop.given("SPRING-K7QM", "anna")
    more = {**SPRING, "uses": 5}
    await owner.put("/v1/coupon-pools/spring", json=more, headers={"If-Match": '"1"'})
    for name in ("r1", "r2"):
        await desk.shop.told("anna", receipt(name, "SPRING-K7QM", total=700))
    await desk.shop.read()
    found = (await owner.get("/v1/coupons/SPRING-K7QM")).json()
    # The second receipt redeemed nothing, so nobody may be told that it does.
    assert (found["redeemed"], found["good"]) == (1, False)


async def test_codes_are_brought_in_once_and_the_pool_says_how_many_are_left() -> None:
    desk = Desk()
    owner = await desk.caller(Role.OWNER)
    path = "/v1/coupon-pools/cinema"
    await owner.put(path, json=CINEMA)
    key = {"Idempotency-Key": "k"}
    codes = {"codes": ["ONE-1", "TWO-2", "one1"]}
    first = await owner.post(f"{path}/codes", json=codes, headers=key)
    again = await owner.post(f"{path}/codes", json=codes, headers=key)
    assert first.json() == again.json() == {"added": 2, "known": 1}
    assert (await owner.post(f"{path}/codes", json=codes)).json() == {"added": 0, "known": 3}
    await desk.shop.given("ONE-1", "anna", pool="cinema")
    await desk.shop.read()
    shown = (await owner.get(path)).json()
    assert (shown["issued"], shown["left"]) == (1, 1)
    wrong = await owner.post(f"{path}/codes", json={"codes": ["good", "?"]})
    assert problem(wrong) == (422, "invalid", ["codes.1"])
    await owner.put("/v1/coupon-pools/spring", json=SPRING)
    refused = await owner.post("/v1/coupon-pools/spring/codes", json=codes)
    assert problem(refused)[:2] == (409, "codes-generated")


async def test_a_code_is_shown_with_its_receipts_and_to_a_branch_with_its_own_alone() -> None:
    desk = Desk()
    owner, branch = await desk.caller(Role.OWNER), await desk.caller(Role.OWNER, "tartu")
    await owner.put("/v1/coupon-pools/spring", json=SPRING)
    until = DAY + timedelta(days=1)
    await desk.shop.given("SPRING-K7QM", "anna", campaign="c", valid_until=until)
    await desk.shop.read()
    before = (await owner.get("/v1/coupons/spring k7qm")).json()
    assert (before["good"], before["uses"]) == (True, [])
    await desk.shop.told("anna", receipt("r1", "SPRING-K7QM", total=700))
    await desk.shop.read()
    found = (await owner.get("/v1/coupons/springk7qm")).json()
    assert (found["code"], found["customer"], found["title"], found["good"]) == (
        "SPRING-K7QM", "anna", "Spring", False
    )  # fmt: skip
    (use,) = found["uses"]
    assert (use["receipt"], use["branch"], use["by"], use["total"]) == (
        "r1", "riga-1", "anna", 700
    )  # fmt: skip
    narrow = (await branch.get("/v1/coupons/springk7qm")).json()
    assert (narrow["customer"], narrow["redeemed"], narrow["uses"]) == (None, 1, [])
    theirs = (await owner.get("/v1/customers/anna/coupons")).json()["items"]
    assert [each["code"] for each in theirs] == ["SPRING-K7QM"]
    assert problem(await branch.get("/v1/customers/anna/coupons"))[0] == 403
    assert problem(await branch.get("/v1/coupon-pools"))[0] == 403
    assert problem(await owner.get("/v1/coupons/XXXXXXXX"))[:2] == (404, "not-found")


async def test_the_figures_of_a_pool_are_by_campaign() -> None:
    desk = Desk()
    owner = await desk.caller(Role.OWNER)
    await owner.put("/v1/coupon-pools/spring", json=SPRING)
    desk.counted.counts = [CouponCounts("c", 2, 1, 1, 700)]
    assert (await owner.get("/v1/coupon-pools/spring/figures")).json() == {
        "pool": "spring",
        "items": [{"campaign": "c", "issued": 2, "redeemed": 1, "receipts": 1, "turnover": 700}],
    }
    assert problem(await owner.get("/v1/coupon-pools/none/figures"))[0] == 404


@pytest.mark.parametrize("pool", ["none", "friends"])
async def test_a_campaign_names_a_pool_of_codes_that_there_is(pool: str) -> None:
    owner = await Desk().caller(Role.OWNER)
    friends = {"title": "Friends", "referring": {"reward": "10 %"}}
    await owner.put("/v1/coupon-pools/friends", json=friends)
    await owner.put("/v1/coupon-pools/spring", json=SPRING)
    said = {**MISS_YOU, "template": {"subject": "Hello", "text": "{{ coupon.code }}"}}
    wrong = await owner.put("/v1/campaigns/c", json={**said, "coupon": pool})
    assert problem(wrong) == (422, "invalid", ["coupon"])
    assert problem(await owner.put("/v1/campaigns/c", json=said))[2] == ["coupon"]
    assert (await owner.put("/v1/campaigns/c", json={**said, "coupon": "spring"})).is_success


async def test_senders_are_shown_as_they_were_defined() -> None:
    owner = await Desk().caller(Role.OWNER)
    nothing = await owner.get("/v1/senders")
    assert (nothing.json(), nothing.headers["ETag"]) == ({"version": 0, "senders": []}, '"0"')
    senders = [
        {"branch": "riga", "channel": "email", "sender": "Shop Riga <riga@shop.example>"},
        {"branch": None, "channel": "sms", "sender": "SHOP"},
    ]
    made = await owner.put("/v1/senders", json={"senders": senders})
    assert made.json() == {"version": 1, "senders": senders}
    assert problem(await owner.put("/v1/senders", json={}))[0] == 428
    # Digits of other scripts are no number that a gateway takes.
    for channel, sender in (("email", "nobody"), ("sms", "\u0661\u0662\u0663\u0664")):
        wrong = {"senders": [{"channel": channel, "sender": sender}]}
        answer = await owner.put("/v1/senders", json=wrong, headers={"If-Match": '"1"'})
        assert problem(answer) == (422, "invalid", ["senders.0.sender"])
    branch = await Desk().caller(Role.OWNER, "riga")
    assert problem(await branch.get("/v1/senders"))[0] == 403
