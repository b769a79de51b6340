"""What tills and importers may send, and what they are told; on memory stores."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.api import FactApi, ImportApi
from services.interaction.handlers.facts import Recorder
from services.interaction.handlers.intake import Intake
from services.interaction.handlers.lines import no_snapshots
from services.interaction.handlers.returns import Returns
from services.interaction.queries.imports import Imports
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.envelope import decode
from shared.execute import Writer
from shared.http import build_app
from shared.identifiers import IdentifierRules
from shared.ids import derived_id
from shared.keyring import Keyring
from shared.memory import MemoryApiKeys, MemoryEventStore, MemoryKeyStore
from shared.testing import DAY, client_of

SECRET = bytes(32)
RULES = IdentifierRules(SECRET)
PHONE = "+4930123456"
ANNA = RULES.known("phone", PHONE, "value").claim_id
LINE = {"product": "bread", "quantity": 2, "amount": 398}
RECEIPT = {
    "source_id": "4711",
    "branch": "12",
    "time": "2017-12-01T09:00:00Z",
    "customer": "anna",
    "lines": [LINE],
}
Json = Any


def receipt(**changes: object) -> Json:
    """A right receipt but for the changes; what is changed to None is left out."""
    return {name: value for name, value in {**RECEIPT, **changes}.items() if value is not None}


def line(**changes: object) -> Json:
    return receipt(lines=[{**LINE, **changes}])


@dataclass(slots=True)
class Shop:
    """The service's app on memory, where Anna is known by her id and her phone."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)

    async def caller(self, role: Role, *branches: str) -> httpx2.AsyncClient:
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        clock = ManualClock(DAY)
        writer = Writer(
            self.store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), clock, "interaction"
        )
        recorder = Recorder(writer, self._owners, no_snapshots)
        facts = FactApi(Intake(recorder, Returns(writer), RULES, clock))
        imports = ImportApi(writer, Imports(writer), clock)
        app = build_app(
            title="test",
            service="interaction",
            routers=[facts.router(), imports.router()],
            authenticator=Authenticator(self.keys, SECRET),
            readiness=self._readiness,
        )
        return client_of(app, text)

    async def _owners(self, ids: Collection[str]) -> Mapping[str, str]:
        known = {ANNA: "anna", "customer|anna": "anna"}
        return {name: known[name] for name in ids if name in known}

    async def _readiness(self) -> Mapping[str, bool | str]:
        return {}

    def recorded(self) -> list[Json]:
        """The data of all events."""
        texts = [text for commit in self.store.commits for text in commit.events]
        return [json.loads(bytes(decode(text).data)) for text in texts]


@pytest.fixture
def shop() -> Shop:
    """A shop of this test alone, without a customer in it yet."""
    return Shop()


def problem_of(answer: httpx2.Response) -> tuple[int, str, list[str]]:
    """Status, type and wrong fields of a problem."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    kind = body["type"].removeprefix("urn:regulars:problem:")
    return answer.status_code, kind, [error["field"] for error in body.get("errors", [])]


async def test_a_receipt_is_recorded_and_told_again(shop: Shop) -> None:
    till = await shop.caller(Role.CASHIER)
    first = await till.post("/v1/receipts", json=RECEIPT)
    fact = derived_id("fact", "pos", "12", "4711")
    expected = {"id": fact, "customer": "anna", "version": 1, "repeated": False}
    assert (first.status_code, first.json(), first.headers["etag"]) == (201, expected, '"1"')
    again = await till.post("/v1/receipts", json=RECEIPT)
    assert (again.status_code, again.json()) == (201, {**expected, "repeated": True})
    assert shop.recorded() == [
        {
            "fact": fact,
            "source": "pos",
            "source_id": "4711",
            "total": 398,
            "coupon_lines": 0,
            "lines": [{"product": "bread", "quantity": "2", "amount": 398}],
        }
    ]


async def test_a_customer_is_found_by_an_identifier_of_which_only_the_hash_is_kept(
    shop: Shop,
) -> None:
    till = await shop.caller(Role.CASHIER)
    identifier = {"kind": "phone", "value": "+49 30 123456"}
    answer = await till.post("/v1/receipts", json=receipt(customer=None, identifier=identifier))
    assert answer.json()["customer"] == "anna"
    (data,) = shop.recorded()
    assert data["identified_by"] == {"kind": "phone", "hash": ANNA.removeprefix("phone|")}
    assert "123456" not in "".join(text for each in shop.store.commits for text in each.events)


@pytest.mark.parametrize(
    "same",
    [
        receipt(time="2017-12-01T10:00:00+01:00"),
        receipt(time="2017-12-01T09:00:00.000999Z"),
        receipt(total=398),
        receipt(source="pos", till=None),
        receipt(branch=" 12 "),
        line(quantity="2.0"),
        line(quantity=2.000),
        line(discount=None),
    ],
)
async def test_the_same_receipt_in_other_words_is_the_same(shop: Shop, same: Json) -> None:
    till = await shop.caller(Role.CASHIER)
    await till.post("/v1/receipts", json=RECEIPT)
    assert (await till.post("/v1/receipts", json=same)).json()["repeated"] is True


@pytest.mark.parametrize(
    "other",
    [
        receipt(time="2017-12-01T09:00:00.001Z"),
        receipt(till="3"),
        receipt(customer=None, identifier={"kind": "phone", "value": PHONE}),
        line(amount=399),
        line(quantity=3),
        line(discount=0),
        receipt(lines=[LINE, LINE]),
    ],
)
async def test_the_same_id_with_other_content_is_a_conflict(shop: Shop, other: Json) -> None:
    till = await shop.caller(Role.CASHIER)
    await till.post("/v1/receipts", json=RECEIPT)
    answer = await till.post("/v1/receipts", json=other)
    assert problem_of(answer) == (422, "command-differs", [])
    assert len(shop.recorded()) == 1


@pytest.mark.parametrize(
    ("valid", "total"),
    [
        (line(quantity=0, amount=0), 0),
        (line(amount=-100, coupon=-5), -100),
        (line(quantity=0.333333, amount=1), 1),
        (line(quantity="1E+3", amount=10**12), 10**12),
        (receipt(source="web-shop", source_id="№ 5|ж", branch="Köln/3 a.$"), 398),
        (receipt(time="2017-12-02T09:30:00Z"), 398),
        (receipt(time="1970-01-01T00:00:00Z"), 398),
    ],
)
async def test_unusual_receipts_are_receipts(shop: Shop, valid: Json, total: int) -> None:
    till = await shop.caller(Role.CASHIER)
    answer = await till.post("/v1/receipts", json=valid)
    assert answer.status_code == 201, answer.text
    assert shop.recorded()[0]["total"] == total


WRONG = [
    (receipt(source_id=None), "source_id"),
    (receipt(source_id="  "), "source_id"),
    (receipt(source_id="a\x1fb"), "source_id"),
    (receipt(source_id="x" * 201), "source_id"),
    (receipt(branch=None), "branch"),
    (receipt(branch="12|13"), "branch"),
    (receipt(branch=12), "branch"),
    (receipt(source="http"), "source"),
    (receipt(source="a|b"), "source"),
    (receipt(time=None), "time"),
    (receipt(time="2017-12-01T09:00:00"), "time"),
    (receipt(time="2017-12-01"), "time"),
    (receipt(time=1512118800), "time"),
    (receipt(time="1512118800"), "time"),
    (receipt(time="0001-01-01T00:00:00+14:00"), "time"),
    (receipt(time="9999-12-31T23:59:59-12:00"), "time"),
    (receipt(time="2017-12-02T09:30:00.001Z"), "time"),
    (receipt(lines=[]), "lines"),
    (receipt(lines={}), "lines"),
    (receipt(lines=[LINE, {}]), "lines.1.product"),
    (line(amount=3.5), "lines.0.amount"),
    (line(amount=3.0), "lines.0.amount"),
    (line(amount="398"), "lines.0.amount"),
    (line(amount=True), "lines.0.amount"),
    (line(amount=10**12 + 1), "lines.0.amount"),
    (line(quantity="NaN"), "lines.0.quantity"),
    (line(quantity="Infinity"), "lines.0.quantity"),
    (line(quantity=0.0000001), "lines.0.quantity"),
    (line(coupon="x"), "lines.0.coupon"),
    (line(price=1), "lines.0.price"),
    (receipt(total=399), "total"),
    (receipt(total=398.0), "total"),
    (receipt(surname="Ivanova"), "surname"),
    (receipt(identifier={"kind": "phone", "value": PHONE}), "customer"),
    (receipt(customer=None, identifier={"kind": "phone", "value": "12"}), "identifier.value"),
    (receipt(customer=None, identifier={"kind": "email", "value": "x"}), "identifier.value"),
    (receipt(customer=None, identifier={"kind": "fax", "value": "1"}), "identifier.kind"),
    (receipt(customer=None, identifier={"kind": "card", "value": "?"}), "identifier.value"),
]


@pytest.mark.parametrize(("wrong", "place"), WRONG, ids=[str(place) for _, place in WRONG])
async def test_a_wrong_receipt_is_refused_and_the_field_is_named(
    shop: Shop, wrong: Json, place: str
) -> None:
    till = await shop.caller(Role.CASHIER)
    alone = await till.post("/v1/receipts", json=wrong)
    (status, kind, fields) = problem_of(alone)
    assert (status, kind) == (422, "invalid")
    assert place in fields
    (item,) = (await till.post("/v1/receipts/batch", json={"items": [wrong]})).json()["items"]
    assert (item["index"], item["status"]) == (0, 422)
    assert place in [error["field"] for error in item["problem"]["errors"]]
    assert shop.recorded() == []


async def test_no_problem_repeats_what_was_sent(shop: Shop) -> None:
    till = await shop.caller(Role.CASHIER)
    secret = "Ivanova-79161234567"
    for wrong in (
        receipt(time=secret),
        receipt(source=secret),
        receipt(total=secret),
        receipt(lines=secret),
        receipt(customer=None, identifier={"kind": "phone", "value": secret}),
        receipt(customer=None, identifier={"kind": "email", "value": secret}),
        receipt(customer=None, identifier={"kind": "card", "value": f"{secret}!"}),
        receipt(customer=None, identifier={"kind": "external", "value": secret}),
        receipt(customer=secret),
        line(quantity=secret),
        line(amount=secret),
    ):
        answer = await till.post("/v1/receipts", json=wrong)
        # An external id may be anything; that person is unknown, and the receipt waits.
        assert answer.status_code in {201, 409, 422}
        assert secret not in answer.text
        batch = await till.post("/v1/receipts/batch", json={"items": [wrong]})
        assert secret not in batch.text


async def test_nobody_known_is_told_what_to_do(shop: Shop) -> None:
    till = await shop.caller(Role.CASHIER)
    answer = await till.post("/v1/receipts", json=receipt(customer="boris"))
    assert problem_of(answer) == (409, "unknown-customer", [])
    assert "register the customer first" in answer.json()["detail"]


async def test_each_item_of_a_batch_has_its_own_answer(shop: Shop) -> None:
    till = await shop.caller(Role.CASHIER)
    items = [
        receipt(source_id="1"),
        receipt(source_id="2", customer="boris"),
        receipt(source_id="3", total=1),
        {"source_id": "4"},
        receipt(source_id="1"),
        receipt(source_id="1", till="9"),
        7,
        receipt(source_id="5"),
    ]
    answer = await till.post("/v1/receipts/batch", json={"items": items})
    assert answer.status_code == 200
    found = answer.json()["items"]
    assert [each["index"] for each in found] == list(range(8))
    told = [each["status"] if each["status"] == 200 else each["problem"]["type"] for each in found]
    prefix = "urn:regulars:problem:"
    assert told == [
        200,
        f"{prefix}unknown-customer",
        f"{prefix}invalid",
        f"{prefix}invalid",
        200,
        f"{prefix}command-differs",
        f"{prefix}invalid",
        200,
    ]
    first = {"status": 200, "id": derived_id("fact", "pos", "12", "1"), "version": 1}
    assert found[0] == {"index": 0, "repeated": False, **first}
    assert found[4] == {"index": 4, "repeated": True, **first}
    # What cannot be a fact has no id.
    assert ["id" in each for each in found] == [True, True, False, False, True, True, False, True]
    assert [data["source_id"] for data in shop.recorded()] == ["1", "5"]


async def test_a_batch_that_is_none_is_refused_whole(shop: Shop) -> None:
    till = await shop.caller(Role.CASHIER)
    unreadable = await till.post("/v1/receipts/batch", content=b'{"items": [')
    assert problem_of(unreadable) == (400, "unreadable", [])
    too_many = await till.post("/v1/receipts/batch", json={"items": [1] * 1001})
    assert problem_of(too_many) == (422, "invalid", ["items"])
    assert (await till.post("/v1/receipts/batch", json={"items": []})).json() == {"items": []}


async def test_a_till_writes_only_for_its_branch(shop: Shop) -> None:
    till = await shop.caller(Role.CASHIER, "12")
    assert (await till.post("/v1/receipts", json=receipt(branch="12"))).status_code == 201
    other = receipt(branch="13", source_id="2")
    assert problem_of(await till.post("/v1/receipts", json=other)) == (403, "out-of-scope", [])
    batch = {"items": [other, receipt(source_id="3")]}
    found = (await till.post("/v1/receipts/batch", json=batch)).json()["items"]
    assert [each["status"] for each in found] == [403, 200]


async def test_who_may_what(shop: Shop) -> None:
    reader, cashier = await shop.caller(Role.READER), await shop.caller(Role.CASHIER)
    batch = {"items": [RECEIPT]}
    beginning = {"id": "2017", "title": "The year 2017"}
    for answer in (
        await reader.post("/v1/receipts", json=RECEIPT),
        await reader.post("/v1/receipts/batch", json=batch),
        await reader.get("/v1/imports"),
        await cashier.post("/v1/imports", json=beginning),
        await cashier.post("/v1/imports/2017/end", json={"facts": 0}),
        # To mark facts as history keeps them from what lives on them: that is for importers.
        await cashier.post("/v1/receipts/batch", json=batch, params={"import_id": "2017"}),
    ):
        assert problem_of(answer) == (403, "forbidden", [])
    branch_service = await shop.caller(Role.SERVICE, "12")
    answer = await branch_service.post("/v1/imports", json=beginning)
    assert problem_of(answer) == (403, "out-of-scope", [])
    assert shop.store.commits == []


async def test_an_import_from_its_beginning_to_its_end(shop: Shop) -> None:
    importer = await shop.caller(Role.SERVICE)
    beginning = {"id": "2017", "title": "The year 2017"}
    open_import = {"id": "2017", "title": "The year 2017", "open": True, "version": 1}
    begun = await importer.post("/v1/imports", json=beginning)
    assert (begun.status_code, begun.json()) == (201, {**open_import, "facts": None})
    assert (await importer.post("/v1/imports", json=beginning)).json() == begun.json()
    batch = {"items": [RECEIPT]}
    of_2017 = {"import_id": "2017"}
    sent = await importer.post("/v1/receipts/batch", json=batch, params=of_2017)
    assert [each["status"] for each in sent.json()["items"]] == [200]
    ended = await importer.post("/v1/imports/2017/end", json={"facts": 1})
    expected = {**open_import, "open": False, "facts": 1, "version": 2}
    assert (ended.status_code, ended.json()) == (200, expected)
    # The first count stays.
    assert (await importer.post("/v1/imports/2017/end", json={"facts": 2})).json() == expected
    assert (await importer.get("/v1/imports/2017")).json() == expected
    late = {"items": [RECEIPT, receipt(source_id="2")]}
    found = (await importer.post("/v1/receipts/batch", json=late, params=of_2017)).json()["items"]
    assert [(each["status"], each.get("repeated")) for each in found] == [(200, True), (409, None)]
    assert found[1]["problem"]["detail"] == "the import 2017 has ended"


async def test_an_import_without_an_id_has_that_of_its_idempotency_key(shop: Shop) -> None:
    importer = await shop.caller(Role.SERVICE)
    begun = [
        await importer.post("/v1/imports", json={"title": "t"}, headers={"Idempotency-Key": key})
        for key in ("monday", "monday", "tuesday")
    ]
    monday, again, tuesday = [answer.json()["id"] for answer in begun]
    assert monday == again != tuesday


async def test_wrong_words_about_imports_are_refused(shop: Shop) -> None:
    importer = await shop.caller(Role.SERVICE)
    await importer.post("/v1/imports", json={"id": "2017", "title": "The year 2017"})
    for answer, expected in (
        (await importer.post("/v1/imports", json={"id": "2017"}), (422, "invalid", ["title"])),
        (
            await importer.post("/v1/imports", json={"id": "a b", "title": "t"}),
            (422, "invalid", ["id"]),
        ),
        (
            await importer.post("/v1/imports", json={"id": "2017", "title": "Else"}),
            (409, "import-differs", []),
        ),
        (
            await importer.post("/v1/imports/2017/end", json={"facts": -1}),
            (422, "invalid", ["facts"]),
        ),
        (await importer.post("/v1/imports/2017/end", json={}), (422, "invalid", ["facts"])),
        (await importer.post("/v1/imports/2018/end", json={"facts": 0}), (404, "not-found", [])),
        (await importer.get("/v1/imports/2018"), (404, "not-found", [])),
        (
            await importer.post(
                "/v1/receipts/batch", json={"items": []}, params={"import_id": "A|B"}
            ),
            (422, "invalid", ["import_id"]),
        ),
    ):
        assert problem_of(answer) == expected
    never = {"items": [RECEIPT]}
    answer = await importer.post("/v1/receipts/batch", json=never, params={"import_id": "2018"})
    (item,) = answer.json()["items"]
    assert (item["status"], item["problem"]["detail"]) == (409, "the import 2018 was never begun")


async def test_imports_are_listed_page_by_page(shop: Shop) -> None:
    importer = await shop.caller(Role.SERVICE)
    for name in ("b", "a", "c"):
        await importer.post("/v1/imports", json={"id": name, "title": name})
    await importer.post("/v1/imports/b/end", json={"facts": 0})
    first = (await importer.get("/v1/imports", params={"limit": 2})).json()
    assert [(each["id"], each["open"]) for each in first["items"]] == [("a", True), ("b", False)]
    query = {"limit": 2, "cursor": first["next_cursor"]}
    second = (await importer.get("/v1/imports", params=query)).json()
    assert [each["id"] for each in second["items"]] == ["c"]
    assert second["next_cursor"] is None


async def test_open_imports_are_known_also_after_others_have_ended(shop: Shop) -> None:
    importer = await shop.caller(Role.SERVICE)
    writer = Writer(
        shop.store, Keyring(MemoryKeyStore(), AESGCM(bytes(32))), ManualClock(DAY), "interaction"
    )
    imports = Imports(writer)
    assert await imports.open() == []
    for name in ("a", "b"):
        await importer.post("/v1/imports", json={"id": name, "title": name})
    assert await imports.open() == ["a", "b"]
    await importer.post("/v1/imports/a/end", json={"facts": 0})
    assert [await imports.open() for _ in range(2)] == [["b"], ["b"]]


async def test_a_receipt_of_many_lines_is_recorded_exactly(shop: Shop) -> None:
    till = await shop.caller(Role.CASHIER)
    lines = [{**LINE, "amount": number} for number in range(2000)]
    answer = await till.post("/v1/receipts", json=receipt(lines=lines))
    assert answer.status_code == 201
    # 0 + 1 + … + 1999 = 1999 × 2000 / 2
    assert shop.recorded()[0]["total"] == 1_999_000
    too_many = await till.post("/v1/receipts", json=receipt(lines=[*lines, LINE]))
    assert problem_of(too_many) == (422, "invalid", ["lines"])


def test_a_day_is_what_the_tests_take_for_one() -> None:
    # WRONG and the unusual receipts lie on both sides of a day after the chain's clock.
    assert (DAY + timedelta(days=1)).isoformat() == "2017-12-02T09:30:00+00:00"


async def test_a_till_takes_back_what_another_branch_sold_but_does_not_void_it(shop: Shop) -> None:
    there, here = await shop.caller(Role.CASHIER, "12"), await shop.caller(Role.CASHIER, "13")
    assert (await there.post("/v1/receipts", json=RECEIPT)).status_code == 201
    back = {
        "source_id": "1",
        "branch": "13",
        "time": RECEIPT["time"],
        "receipt": {"source_id": "4711", "branch": "12"},
    }
    assert problem_of(await here.post("/v1/voids", json=back)) == (403, "out-of-scope", [])
    lines = [{"line": 1, "quantity": 1}]
    assert (await here.post("/v1/returns", json={**back, "lines": lines})).status_code == 201
    own = {**back, "branch": "12", "receipt": {"source_id": "4711"}}
    assert (await there.post("/v1/voids", json=own)).status_code == 201
