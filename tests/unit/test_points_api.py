"""Points over HTTP, on memory: what tills, people and owners may ask for, and are told."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from services.interaction.api.points import PointsApi, PointsDesk
from services.interaction.projections.points import POINTS
from services.interaction.queries.points import PointsEntries
from shared.access import Authenticator, Role, issue
from shared.events.contract import show_moment
from shared.http import build_app
from shared.ids import derived_id
from shared.memory import MemoryApiKeys, MemoryDocuments, MemoryParking
from shared.projector import Folder
from shared.testing import DAY, client_of, logs_of
from shared.testing.collections import MemoryQuestions
from tests.unit.pointswork import Chain

SECRET = bytes(32)
RULES = {
    "rates": [{"percent": 1000}],
    "point_value": 1,
    "payable_percent": 3000,
    "hold_minutes": 60,
}
SPEND = {"receipt": "4711", "branch": "12", "points": 40, "total": 1000}
FACT = derived_id("fact", "pos", "12", "4711")
Json = Any


@dataclass(slots=True)
class Shop:
    """The service's points on memory; Anna is known, and Bea was merged into her."""

    chain: Chain = field(default_factory=Chain)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    listed: MemoryDocuments = field(default_factory=MemoryDocuments)

    async def caller(self, role: Role, *branches: str) -> httpx2.AsyncClient:
        """A client with a key of its own; no branches: of the whole chain."""
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        desk = PointsDesk(
            ledgers=self.chain.ledgers,
            book=self.chain.following.rules,
            owners=self._owners,
            entries=PointsEntries(MemoryQuestions(self.listed)),
            clock=self.chain.clock,
            secret=SECRET,
        )
        app = build_app(
            title="test",
            service="interaction",
            routers=[PointsApi(desk).router()],
            authenticator=Authenticator(self.keys, SECRET),
            readiness=self._readiness,
        )
        return client_of(app, text)

    async def read(self) -> None:
        """Let the list read whatever was written."""
        folder = Folder(POINTS, self.listed, MemoryParking(), self.chain.keyring)
        for log in logs_of(self.chain.store.commits):
            await folder.fold(log)

    async def _owners(self, ids: Collection[str]) -> Mapping[str, str]:
        known = {"customer|anna": "anna", "customer|bea": "anna", "customer|eva": "eva"}
        return {name: known[name] for name in ids if name in known}

    async def _readiness(self) -> Mapping[str, bool | str]:
        return {}


@pytest.fixture
async def shop() -> Shop:
    """A shop whose rules give a tenth; nobody has any points."""
    shop = Shop()
    owner = await shop.caller(Role.OWNER)
    assert (await owner.put("/v1/points/rules", json=RULES)).status_code == 200
    return shop


def problem_of(answer: httpx2.Response) -> tuple[int, str, list[str]]:
    """Status, type and wrong fields of a problem."""
    body = answer.json()
    kind = body["type"].removeprefix("urn:regulars:problem:")
    return answer.status_code, kind, [error["field"] for error in body.get("errors", [])]


# Rules


async def test_rules_are_changed_with_the_version_that_they_rest_on(shop: Shop) -> None:
    owner = await shop.caller(Role.OWNER)
    found = await owner.get("/v1/points/rules")
    assert found.headers["etag"] == '"1"'
    (first,) = found.json()["items"]
    assert (first["version"], first["counts"], first["pending_days"]) == (1, True, 0)
    new = {**RULES, "life": "P1Y", "since": show_moment(DAY + timedelta(days=1))}
    unseen = await owner.put("/v1/points/rules", json=new)
    assert problem_of(unseen)[:2] == (428, "precondition-required")
    stale = await owner.put("/v1/points/rules", json=new, headers={"If-Match": '"7"'})
    assert problem_of(stale)[:2] == (412, "precondition-failed")
    key = {"If-Match": '"1"', "Idempotency-Key": "k"}
    for _ in range(2):
        changed = await owner.put("/v1/points/rules", json=new, headers=key)
        assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    versions = (await owner.get("/v1/points/rules")).json()["items"]
    assert [(each["version"], each["life"], each["counts"]) for each in versions] == [
        (2, "P1Y", False),
        (1, None, True),
    ]


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"point_value": 0}, "point_value"),
        ({"payable_percent": 10_001}, "payable_percent"),
        ({"rates": [{"percent": -1}]}, "rates.0.percent"),
        ({"rates": [{"percent": 1}, {"percent": 2}]}, "rates.1"),
        ({"life": "PT1H"}, "life"),
        ({"since": "2017-01-01T00:00:00Z"}, "since"),
        ({"hold_minutes": 0}, "hold_minutes"),
        ({"percent": 5}, "percent"),
    ],
)
async def test_wrong_rules_are_told_where(wrong: Json, path: str) -> None:
    owner = await Shop().caller(Role.OWNER)
    answer = await owner.put("/v1/points/rules", json={**RULES, **wrong})
    assert problem_of(answer) == (422, "invalid", [path])


async def test_rules_belong_to_the_chain(shop: Shop) -> None:
    cashier = await shop.caller(Role.CASHIER)
    assert (await cashier.put("/v1/points/rules", json=RULES)).status_code == 403
    of_a_branch = await shop.caller(Role.OWNER, "12")
    answer = await of_a_branch.put("/v1/points/rules", json={**RULES, "life": "P1Y"})
    assert problem_of(answer)[:2] == (403, "out-of-scope")
    assert (await of_a_branch.get("/v1/points/rules")).status_code == 200


# Balances


async def test_a_balance_tells_what_can_be_spent_when_and_until_when(shop: Shop) -> None:
    await shop.chain.buy("r1", "anna", 1000)
    manager = await shop.caller(Role.MANAGER)
    ends = show_moment(DAY + timedelta(days=5))
    granted = await manager.post(
        "/v1/customers/anna/points/grants", json={"points": 7, "reason": "sorry", "expires": ends}
    )
    assert granted.status_code == 201
    answer = await manager.get("/v1/customers/anna/points")
    assert answer.headers["etag"] == '"2"'
    assert answer.json() == {
        "customer": "anna",
        "version": 2,
        "usable": 107,
        "usable_minor": 107,
        "pending": [],
        "expiring": [{"at": ends, "points": 7}],
        "kept": 0,
        "owed": 0,
    }
    shop.chain.clock.advance(timedelta(days=5))
    # Nobody has told yet that the 7 are over.
    assert (await manager.get("/v1/customers/anna/points")).json()["usable"] == 100


async def test_a_merged_customer_has_the_points_of_the_survivor(shop: Shop) -> None:
    await shop.chain.buy("r1", "bea", 1000)
    reader = await shop.caller(Role.READER)
    # The list of customers knows of the merge already, the ledgers do not yet.
    assert (await reader.get("/v1/customers/bea/points")).json()["usable"] == 0
    await shop.chain.merge("m1", "bea", "anna")
    found = (await reader.get("/v1/customers/bea/points")).json()
    assert (found["customer"], found["usable"]) == ("anna", 100)


async def test_nobody_has_the_points_of_nobody(shop: Shop) -> None:
    reader = await shop.caller(Role.READER)
    for place in ("", "/ledger", "/quote?total=1&branch=12"):
        answer = await reader.get(f"/v1/customers/zoe/points{place}")
        assert problem_of(answer)[:2] == (404, "not-found")


async def test_the_ledger_is_told_page_by_page_and_adds_up(shop: Shop) -> None:
    await shop.chain.buy("r1", "anna", 1000)
    till = await shop.caller(Role.CASHIER)
    await till.post("/v1/customers/anna/points/spendings", json=SPEND)
    await shop.chain.buy(FACT, "anna", 1000, points_spent=30)
    await shop.chain.take_back("b1", "r1", "anna", (1, 1000))
    manager = await shop.caller(Role.MANAGER)
    await manager.post(
        "/v1/customers/anna/points/withdrawals", json={"points": 5, "reason": "a mistake"}
    )
    reader = await shop.caller(Role.READER)
    told, cursor = [], None
    while True:
        query = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = (await reader.get("/v1/customers/anna/points/ledger", params=query)).json()
        told += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [(each["kind"], each["points"]) for each in reversed(told)] == [
        ("earned", 100),
        ("spent", -40),
        ("earned", 97),
        ("given_back", 10),
        ("spending_paid", 0),
        ("reversed", -100),
        ("withdrawn", -5),
    ]
    assert (told[0]["reason"], told[0]["by"][:4]) == ("a mistake", "key:")
    # 100 - 40 + 97 + 10 - 100 - 5
    assert (await reader.get("/v1/customers/anna/points")).json()["usable"] == 62


async def test_entries_are_shown_as_far_as_the_branches_of_a_key_go(shop: Shop) -> None:
    await shop.chain.buy("r1", "anna", 1000)
    elsewhere = await shop.caller(Role.CASHIER, "7")
    assert (await elsewhere.get("/v1/customers/anna/points/ledger")).json()["items"] == []
    # What the customer can spend is the customer's, wherever it was earned.
    assert (await elsewhere.get("/v1/customers/anna/points")).json()["usable"] == 100


# Tills


async def test_a_quote_is_what_may_pay_for_the_basket(shop: Shop) -> None:
    await shop.chain.buy("r1", "anna", 10_000)
    till = await shop.caller(Role.CASHIER, "12")
    answer = await till.get(
        "/v1/customers/anna/points/quote", params={"total": 1000, "branch": "12"}
    )
    # 30 % of 1000, though 1000 points could be spent.
    assert answer.json() == {
        "customer": "anna",
        "usable": 1000,
        "most": 300,
        "most_minor": 300,
        "point_value": 1,
    }
    elsewhere = await till.get(
        "/v1/customers/anna/points/quote", params={"total": 1000, "branch": "7"}
    )
    assert problem_of(elsewhere)[:2] == (403, "out-of-scope")


async def test_a_till_that_asks_again_is_told_the_same(shop: Shop) -> None:
    await shop.chain.buy("r1", "anna", 1000)
    till = await shop.caller(Role.CASHIER, "12")
    first = await till.post("/v1/customers/anna/points/spendings", json=SPEND)
    expected = {
        "id": FACT,
        "customer": "anna",
        "state": "kept",
        "points": 40,
        "lapses": show_moment(DAY + timedelta(minutes=60)),
        "usable": 60,
        "version": 2,
        "repeated": False,
    }
    assert (first.status_code, first.json()) == (201, expected)
    again = await till.post("/v1/customers/anna/points/spendings", json=SPEND)
    assert again.json() == {**expected, "repeated": True}
    other = await till.post("/v1/customers/anna/points/spendings", json={**SPEND, "points": 41})
    assert problem_of(other)[:2] == (422, "command-differs")
    later = {**SPEND, "points": 41, "attempt": 2}
    kept = await till.post("/v1/customers/anna/points/spendings", json=later)
    assert problem_of(kept)[:2] == (409, "points-kept")
    name = {"receipt": "4711", "branch": "12"}
    gone = await till.post("/v1/customers/anna/points/spendings/cancel", json=name)
    assert (gone.json()["state"], gone.json()["usable"]) == ("none", 100)
    other = await till.post("/v1/customers/anna/points/spendings", json=later)
    assert (other.json()["points"], other.json()["usable"]) == (41, 59)
    await shop.chain.buy(FACT, "anna", 1000, points_spent=41)
    paid = await till.post("/v1/customers/anna/points/spendings", json=later)
    assert (paid.json()["state"], paid.json()["lapses"]) == ("paid", None)
    late = await till.post("/v1/customers/anna/points/spendings/cancel", json=name)
    assert problem_of(late)[:2] == (409, "already-paid")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"points": 101}, (409, "too-few-points")),
        ({"points": 301}, (409, "over-the-share")),
        ({"points": 0}, (422, "invalid")),
        ({"branch": "7"}, (403, "out-of-scope")),
        ({"attempt": 10}, (422, "invalid")),
        ({"source": "points"}, (422, "invalid")),
    ],
)
async def test_a_till_is_told_why_it_cannot_have_points(
    shop: Shop, changes: Json, problem: tuple[int, str]
) -> None:
    await shop.chain.buy("r1", "anna", 1000)
    till = await shop.caller(Role.CASHIER, "12")
    answer = await till.post("/v1/customers/anna/points/spendings", json={**SPEND, **changes})
    assert problem_of(answer)[:2] == problem


async def test_a_till_of_another_branch_cancels_nothing(shop: Shop) -> None:
    await shop.chain.buy("r1", "anna", 1000)
    till = await shop.caller(Role.CASHIER, "12")
    await till.post("/v1/customers/anna/points/spendings", json=SPEND)
    other = await shop.caller(Role.CASHIER, "7")
    answer = await other.post(
        "/v1/customers/anna/points/spendings/cancel", json={"receipt": "4711", "branch": "12"}
    )
    assert problem_of(answer)[:2] == (403, "out-of-scope")
    # A receipt of its own of the same number is another one.
    answer = await other.post(
        "/v1/customers/anna/points/spendings/cancel", json={"receipt": "4711", "branch": "7"}
    )
    assert (answer.json()["state"], answer.json()["usable"]) == ("none", 60)


async def test_without_rules_no_points_pay() -> None:
    till = await Shop().caller(Role.CASHIER)
    asked = await till.get("/v1/customers/anna/points/quote?total=1000&branch=12")
    assert problem_of(asked)[:2] == (409, "no-points-rules")
    spent = await till.post("/v1/customers/anna/points/spendings", json=SPEND)
    assert problem_of(spent)[:2] == (409, "no-points-rules")


# By hand


async def test_points_are_given_and_taken_by_hand_once(shop: Shop) -> None:
    manager = await shop.caller(Role.MANAGER)
    key = {"Idempotency-Key": "k1"}
    body = {"points": 50, "reason": "for the wait"}
    for repeated in (False, True):
        given = await manager.post("/v1/customers/anna/points/grants", json=body, headers=key)
        assert given.json() == {
            "customer": "anna",
            "usable": 50,
            "owed": 0,
            "version": 1,
            "repeated": repeated,
        }
    taken = await manager.post(
        "/v1/customers/anna/points/withdrawals", json={"points": 51, "reason": "too much"}
    )
    assert problem_of(taken)[:2] == (409, "too-few-points")


async def test_what_is_given_by_hand_lives_as_long_as_the_rules_say(shop: Shop) -> None:
    owner = await shop.caller(Role.OWNER)
    rules = {**RULES, "life": "P1Y"}
    await owner.put("/v1/points/rules", json=rules, headers={"If-Match": "*"})
    await owner.post("/v1/customers/anna/points/grants", json={"points": 5, "reason": "x"})
    found = (await owner.get("/v1/customers/anna/points")).json()
    assert found["expiring"] == [{"at": show_moment(DAY.replace(year=DAY.year + 1)), "points": 5}]


async def test_the_reason_of_a_change_by_hand_is_sealed(shop: Shop) -> None:
    manager = await shop.caller(Role.MANAGER)
    body = {"points": 5, "reason": "Frau Weber war krank"}
    await manager.post("/v1/customers/anna/points/grants", json=body)
    texts = [text for commit in shop.chain.store.commits for text in commit.events]
    assert not any("Weber" in text for text in texts)
    told = (await manager.get("/v1/customers/anna/points/ledger")).json()["items"]
    assert told[0]["reason"] == "Frau Weber war krank"


async def test_only_who_may_gives_points_and_a_branch_only_for_itself(shop: Shop) -> None:
    body = {"points": 5, "reason": "x"}
    cashier = await shop.caller(Role.CASHIER)
    manager = await shop.caller(Role.MANAGER, "12")
    for path in ("grants", "withdrawals"):
        answer = await cashier.post(f"/v1/customers/anna/points/{path}", json=body)
        assert problem_of(answer)[:2] == (403, "forbidden")
        answer = await manager.post(f"/v1/customers/anna/points/{path}", json=body)
        assert problem_of(answer)[:2] == (403, "out-of-scope")
    own = await manager.post("/v1/customers/anna/points/grants", json={**body, "branch": "12"})
    assert own.status_code == 201


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"points": 0}, "points"),
        ({"points": 1.5}, "points"),
        ({"reason": ""}, "reason"),
        ({"expires": "2017-12-01T00:00:00Z"}, "expires"),
    ],
)
async def test_a_wrong_grant_is_told_where(shop: Shop, wrong: Json, path: str) -> None:
    manager = await shop.caller(Role.MANAGER)
    body = {"points": 5, "reason": "x", **wrong}
    answer = await manager.post("/v1/customers/anna/points/grants", json=body)
    assert problem_of(answer) == (422, "invalid", [path])


# Lists


async def test_who_has_points_that_expire_soon_is_listed(shop: Shop) -> None:
    manager = await shop.caller(Role.MANAGER)
    for customer, days in (("anna", 3), ("anna", 5), ("eva", 2), ("eva", 90)):
        ends = show_moment(DAY + timedelta(days=days))
        body = {"points": days, "reason": "x", "expires": ends}
        await manager.post(f"/v1/customers/{customer}/points/grants", json=body)
    await shop.chain.buy("r1", "eva", 1000)
    await shop.read()
    before = show_moment(DAY + timedelta(days=10))
    first = (await manager.get(f"/v1/points/expiring?before={before}&limit=1")).json()
    assert first["items"] == [
        {"customer": "eva", "points": 2, "first": show_moment(DAY + timedelta(days=2))}
    ]
    query = {"before": before, "cursor": first["next_cursor"]}
    second = (await manager.get("/v1/points/expiring", params=query)).json()
    assert second == {
        "items": [{"customer": "anna", "points": 8, "first": show_moment(DAY + timedelta(days=3))}],
        "next_cursor": None,
    }
    at_twelve = await shop.caller(Role.CASHIER, "12")
    seen = (await at_twelve.get(f"/v1/points/expiring?before={before}")).json()["items"]
    assert [each["customer"] for each in seen] == ["eva"]
