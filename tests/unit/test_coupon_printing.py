"""Printed mailings: a code for each customer of an area, the same when it is printed again."""

import asyncio
import csv
import io
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import msgspec
import pytest

from services.notify.api.printing import COLUMNS, PrintingApi
from services.notify.api.recommending import RecommendingApi
from services.notify.domain.coupons import COUPON, coupon_stream, generated
from services.notify.handlers.books.coupon_pools import PoolBook, Stock
from services.notify.handlers.coupons.printing import Mailing, Printing
from services.notify.handlers.coupons.recommending import Recommending
from services.notify.projections import Recipient
from services.notify.projections.recipients import Membership
from services.notify.queries import Recipients
from shared.access import Authenticator, Role, issue
from shared.events.coupons import CouponPoolDefined, Referring
from shared.http import build_app
from shared.memory import MemoryApiKeys, MemoryDocuments
from shared.testing import DAY, client_of
from shared.testing.collections import MemoryQuestions
from tests.unit.test_coupon_receipts import Shop

SECRET = bytes(32)
RIGA = ZoneInfo("Europe/Riga")
GENERATED = CouponPoolDefined(pool="spring", title="S", codes="generated", valid_for="P1D")
BROUGHT_IN = CouponPoolDefined(pool="spring", title="S", codes="imported")
IN = [Membership("locals", DAY, 1)]
PEOPLE = (
    Recipient(id="anna", registered=True, memberships=IN, city="Riga", home_branch="riga-1"),
    Recipient(id="boris", registered=True, memberships=IN, city="RIGA", home_branch="riga-2"),
    Recipient(id="clara", registered=True, memberships=IN, city="Tartu", home_branch="riga-1"),
    Recipient(id="dora", registered=True, memberships=IN, city="Riga", blacklisted=True),
    Recipient(id="erik", registered=True, memberships=IN, city="Riga", internal=True),
    Recipient(id="fred", registered=True, memberships=IN, city="Riga", merged="anna"),
    Recipient(id="gone", removed=True, memberships=IN),
    Recipient(id="hans", registered=True, lists=["post"], city="Riga"),
    Recipient(id="ilze", registered=True, city="Riga"),
)
Json = Any


async def printing(shop: Shop, owner: str = "one") -> Printing:
    documents = MemoryDocuments()
    raws = [{**msgspec.to_builtins(each, builtin_types=(type(DAY),)), "rev": 1} for each in PEOPLE]
    await documents.write([{"_id" if key == "id" else key: value for key, value in raw.items()}
                           for raw in raws])  # fmt: skip
    members = Recipients(MemoryQuestions(documents), MemoryQuestions(MemoryDocuments()))
    stock = Stock(shop.writer, owner)
    return Printing(PoolBook(shop.writer), stock, members, RIGA, SECRET)


async def defined(shop: Shop, definition: CouponPoolDefined, *codes: str) -> None:
    book = PoolBook(shop.writer)
    await book.define(f"pool {definition}", definition, DAY, lambda _version: None)
    if codes:
        await book.add("codes", definition.pool, codes, DAY)


async def printed(
    found: Printing, definition: CouponPoolDefined, mailing: Mailing
) -> dict[str, str | None]:
    pieces = [piece async for piece in found.rows(definition, mailing, DAY)]
    return {
        row.customer: None if row.issued is None else row.issued.code
        for piece in pieces
        for row in piece
    }


@pytest.mark.parametrize(
    ("mailing", "who"),
    [
        (Mailing("m", segment="locals"), {"anna", "boris", "clara"}),
        (Mailing("m", segment="locals", city="riga"), {"anna", "boris"}),
        (Mailing("m", segment="locals", branch="riga-1"), {"anna", "clara"}),
        (Mailing("m", segment="locals", city="Riga", branch="riga-1"), {"anna"}),
        (Mailing("m", listed="post"), {"hans"}),
        (Mailing("m", segment="nobody"), set()),
    ],
)
async def test_a_mailing_is_for_the_customers_of_an_area(mailing: Mailing, who: set[str]) -> None:
    shop = Shop()
    await defined(shop, GENERATED)
    found = await printed(await printing(shop), GENERATED, mailing)
    assert found.keys() == who
    assert None not in found.values()
    assert len(set(found.values())) == len(who)
    streams = {coupon_stream(code) for code in found.values() if code is not None}
    assert {each for each in shop.happened() if not each.startswith("coupon-pool-")} == streams


@pytest.mark.parametrize("definition", [GENERATED, BROUGHT_IN])
async def test_printed_again_or_twice_at_once_everybody_has_the_same_code(
    definition: CouponPoolDefined,
) -> None:
    shop = Shop()
    await defined(
        shop,
        definition,
        *(["ONE-1", "TWO-2", "TEN-10", "SIX-6"] if definition is BROUGHT_IN else []),
    )
    mailing = Mailing("m", segment="locals")
    one, other = await asyncio.gather(
        printed(await printing(shop), definition, mailing),
        printed(await printing(shop, "two"), definition, mailing),
    )
    again = await printed(await printing(shop, "three"), definition, mailing)
    assert one == other == again
    assert len(set(one.values()) - {None}) == 3
    another = await printed(
        await printing(shop), definition, Mailing("another", segment="locals", city="Tartu")
    )
    assert another["clara"] not in {None, *one.values()}


async def test_who_is_left_without_a_code_says_so() -> None:
    shop = Shop()
    await defined(shop, BROUGHT_IN, "ONE-1", "TWO-2")
    found = await printed(await printing(shop), BROUGHT_IN, Mailing("m", segment="locals"))
    assert sorted(code or "" for code in found.values()) == ["", "ONE-1", "TWO-2"]


async def _ready() -> Mapping[str, bool | str]:
    return {}


async def caller(shop: Shop, role: Role, *branches: str) -> httpx2.AsyncClient:
    keys = MemoryApiKeys()
    text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
    await keys.add(stored)

    found = await printing(shop)
    app = build_app(
        title="test",
        service="notify",
        routers=[
            PrintingApi(found, shop.clock).router(),
            RecommendingApi(Recommending(found.pools, SECRET), found.members, shop.clock).router(),
        ],
        authenticator=Authenticator(keys, SECRET),
        readiness=_ready,
    )
    return client_of(app, text)


async def test_a_mailing_is_a_table_without_names_and_addresses() -> None:
    shop = Shop()
    await defined(shop, GENERATED)
    owner = await caller(shop, Role.OWNER)
    path = "/v1/coupon-pools/spring/mailings"
    answer = await owner.post(path, json={"name": "may", "segment": "locals", "city": "Tartu"})
    assert answer.headers["content-type"].startswith("text/csv")
    header, row = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert header == list(COLUMNS)
    assert (row[0], row[1], row[2]) == ("clara", "Tartu", "riga-1")
    again = await owner.post(path, json={"name": "may", "segment": "locals", "city": "Tartu"})
    assert again.text == answer.text
    nobody = await owner.post(path, json={"name": "may", "segment": "nobody"})
    assert nobody.text.removeprefix("\ufeff").strip() == ",".join(COLUMNS)


async def test_mailings_of_two_pools_are_two_also_where_their_names_join_to_the_same() -> None:
    shop = Shop()
    for name, code in (("may", "CINEMA-1"), ("may-riga", "OPERA-1")):
        pool = BROUGHT_IN.model_copy(update={"pool": name})
        book = PoolBook(shop.writer)
        await book.define(name, pool, DAY, lambda _version: None)
        await book.add(f"codes {name}", name, [code], DAY)
    owner, said = await caller(shop, Role.OWNER), []
    for name, mailing in (("may", "riga-all"), ("may-riga", "all")):
        body = {"name": mailing, "segment": "locals", "city": "Tartu"}
        answer = await owner.post(f"/v1/coupon-pools/{name}/mailings", json=body)
        (_header, row) = csv.reader(io.StringIO(answer.text))
        said.append(row[3])
    assert said == ["CINEMA-1", "OPERA-1"]


async def test_who_asks_wrongly_or_may_not_is_refused() -> None:
    shop = Shop()
    await defined(shop, GENERATED)
    friends = CouponPoolDefined(pool="f", title="F", codes="generated", referring=Referring())
    await defined(shop, friends)
    owner = await caller(shop, Role.OWNER)
    body = {"name": "may", "segment": "locals"}
    for wrong in ({"name": "may"}, {**body, "list": "post"}, {**body, "name": "May!"}):
        assert (await owner.post("/v1/coupon-pools/spring/mailings", json=wrong)).status_code == 422
    assert (await owner.post("/v1/coupon-pools/f/mailings", json=body)).status_code == 422
    assert (await owner.post("/v1/coupon-pools/none/mailings", json=body)).status_code == 404
    branch = await caller(shop, Role.OWNER, "riga-1")
    assert (await branch.post("/v1/coupon-pools/spring/mailings", json=body)).status_code == 403


async def test_an_app_shows_the_code_that_messages_say_and_gives_it_once() -> None:
    shop = Shop()
    owner = await caller(shop, Role.OWNER)
    path = "/v1/customers/anna/referral-code"
    assert (await owner.post(path)).status_code == 404
    friends = CouponPoolDefined(pool="f", title="F", codes="generated", referring=Referring())
    await defined(shop, friends)
    first, again = await owner.post(path), await owner.post(path)
    code = generated(SECRET, "f", "anna", friends.letters)
    assert first.json() == again.json() == {"customer": "anna", "pool": "f", "code": code}
    state, version = await shop.writer.state(COUPON, coupon_stream(code))
    assert (state.issued is not None and state.issued.referring, version) == (True, 1)
    for nobody in ("fred", "gone", "unknown"):
        assert (await owner.post(f"/v1/customers/{nobody}/referral-code")).status_code == 404
    branch = await caller(shop, Role.OWNER, "riga-1")
    assert (await branch.post(path)).status_code == 403


async def test_a_code_to_recommend_by_that_another_has_is_passed_over() -> None:
    shop = Shop()
    friends = CouponPoolDefined(pool="f", title="F", codes="generated", referring=Referring())
    await defined(shop, friends)
    taken = generated(SECRET, "f", "anna", friends.letters)
    await shop.given(taken, "zoe")
    found = await Recommending(PoolBook(shop.writer), SECRET).code_of("anna", DAY)
    assert found.code == generated(SECRET, "f", "anna", friends.letters, turn=1)
