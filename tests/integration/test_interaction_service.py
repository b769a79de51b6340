"""Tills and importers against real servers, the customer service beside: totals are exact."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from services.customer.main import build as build_customer
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from shared.access import Role
from shared.settings import Settings
from shared.testing import LocalChain, eventually

Json = Any
NOW = datetime(2018, 1, 2, tzinfo=UTC)
PROBLEM = "urn:regulars:problem:"


@dataclass(frozen=True, slots=True)
class Shops:
    """The two services, as the owner calls them."""

    customer: httpx2.AsyncClient
    interaction: httpx2.AsyncClient

    async def register(self, name: str, *identifiers: Json) -> str:
        """A new customer, known to the interaction service too."""
        body = {"surname": name, "identifiers": list(identifiers)}
        answer = await self.customer.post("/v1/customers", json=body)
        assert answer.status_code == 201, answer.text
        customer: str = answer.json()["id"]
        await eventually(lambda: self.known(customer))
        return customer

    async def known(self, customer: str) -> Json:
        """The customer's totals; None while the interaction service does not know of him."""
        answer = await self.interaction.get(f"/v1/customers/{customer}/totals")
        return answer.json() if answer.status_code == 200 else None

    async def totals(self, customer: str, version: int) -> Json:
        """The customer's totals at this version of his facts."""
        answer = await self.interaction.get(
            f"/v1/customers/{customer}/totals", params={"min_version": version}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def send(self, items: Sequence[Json], import_id: str | None = None) -> list[Json]:
        """The answers to a batch."""
        query = {} if import_id is None else {"import_id": import_id}
        body = {"items": list(items)}
        answer = await self.interaction.post("/v1/receipts/batch", json=body, params=query)
        assert answer.status_code == 200, answer.text
        answers: list[Json] = answer.json()["items"]
        return answers


@pytest.fixture
async def shops(chain: LocalChain) -> AsyncIterator[Shops]:
    """The two services of this test alone; the chain's clock stands still."""
    customer = chain.settings(Settings, clock_frozen_at=NOW)
    interaction = chain.settings(InteractionSettings, clock_frozen_at=NOW)
    async with (
        chain.running(build_customer, customer) as customers,
        chain.running(build_interaction, interaction) as interactions,
    ):
        yield Shops(customers, interactions)


def external(value: str) -> Json:
    return {"kind": "external", "value": value}


def receipt(source_id: str, who: Json, *amounts: int, branch: str = "12", day: int = 1) -> Json:
    return {
        "source_id": source_id,
        "branch": branch,
        "time": f"2017-12-{day:02}T09:30:00Z",
        "identifier": who,
        "lines": [{"product": "bread", "quantity": 1, "amount": amount} for amount in amounts],
    }


def told(answers: Sequence[Json]) -> list[str]:
    """`new`, `again`, or the type of the problem."""
    return [
        each["problem"]["type"].removeprefix(PROBLEM)
        if "problem" in each
        else ("again" if each["repeated"] else "new")
        for each in answers
    ]


def figures(
    receipts: int,
    spent: int,
    average: int | None,
    first: str | None = None,
    last: str | None = None,
) -> Json:
    """Figures of receipts on different days, of which no cost is known."""
    return {
        "visits": receipts,
        "receipts": receipts,
        "returns": 0,
        "returned_minor": 0,
        "tips_minor": 0,
        "average_minor": average,
        "lifetime": {
            "value_minor": spent,
            "of": "turnover",
            "margin_minor": 0,
            "turnover_minor": spent,
        },
        "first": first,
        "last": last,
    }


def sums(totals: Json) -> tuple[int, int, int]:
    """Customers, receipts and turnover."""
    return totals["customers"], totals["receipts"], totals["turnover_minor"]


async def test_receipts_are_recorded_once_and_summed_exactly(shops: Shops) -> None:
    anna = await shops.register("Ivanova", external("1"))
    boris = await shops.register("Abramov", external("2"))
    assert await shops.known(boris) == {
        "customer": boris,
        "version": 0,
        "spent_minor": 0,
        "favourite_branch": None,
        "top_categories": [],
        "suspicions": [],
        "branches": [],
        **figures(0, 0, None),
    }
    batch = [
        receipt("1", external("1"), 199, 201, day=5),
        receipt("2", external("1"), 101, branch="13", day=3),
        receipt("3", external("2"), 0, day=4),
        receipt("4", external("3"), 100),
        receipt("5", external("1"), 1) | {"total": 2},
        receipt("6", external("1"), 1) | {"customer": anna},
        receipt("1", external("1"), 199, 201, day=5),
        receipt("2", external("1"), 999, branch="13", day=3),
        receipt("7", None, 50, day=9) | {"customer": anna},
    ]
    first = await shops.send(batch)
    assert told(first) == [
        "new",
        "new",
        "new",
        "new",
        "invalid",
        "invalid",
        "again",
        "command-differs",
        "new",
    ]
    # Receipts 1, 2 and 7 are Anna's three.
    assert [first[n]["version"] for n in (0, 1, 8)] == [1, 2, 3]
    third, fifth, ninth = (f"2017-12-0{day}T09:30:00.000Z" for day in (3, 5, 9))
    assert await shops.totals(anna, 3) == {
        "customer": anna,
        "version": 3,
        "spent_minor": 551,  # 199 + 201, 101, 50
        "favourite_branch": "12",
        "top_categories": [],
        "suspicions": [],
        **figures(3, 551, 184, third, ninth),  # 551 / 3 = 183.67
        "branches": [
            {"branch": "12", "spent_minor": 450, **figures(2, 450, 225, fifth, ninth)},
            {"branch": "13", "spent_minor": 101, **figures(1, 101, 101, third, third)},
        ],
    }
    again = await shops.send(batch)
    repeated = ["again" if each == "new" else each for each in told(first)]
    assert told(again) == repeated
    assert [again[n]["version"] for n in (0, 1, 8)] == [1, 2, 3]
    assert (await shops.totals(boris, 1))["receipts"] == 1

    async def all_five() -> Json | None:
        found = (await shops.interaction.get("/v1/totals")).json()
        return found if found["receipts"] == 5 else None

    # The fifth is receipt 4: nobody is known by it, so that it counts and no customer does.
    assert sums(await eventually(all_five)) == (2, 5, 651)
    branches = (await shops.interaction.get("/v1/totals/branches")).json()["items"]
    assert [
        (each["branch"], each["customers"], each["receipts"], each["turnover_minor"])
        for each in branches
    ] == [("12", 2, 4, 550), ("13", 1, 1, 101)]
    assert branches[0]["first"] == "2017-12-01T09:30:00.000Z"
    assert branches[0]["last"] == "2017-12-09T09:30:00.000Z"


async def test_a_receipt_finds_whoever_has_the_identifier_now(shops: Shops) -> None:
    anna = await shops.register("Ivanova", external("1"))
    boris = await shops.register("Abramov")
    unknown = receipt("1", external("7"), 5)
    waiting = await shops.interaction.post("/v1/receipts", json=unknown)
    assert (waiting.status_code, waiting.json()["customer"]) == (201, None)
    first = await shops.interaction.post("/v1/receipts", json=receipt("2", external("1"), 10))
    assert first.json()["customer"] == anna
    contact = (await shops.customer.post("/v1/customers/find", json=external("1"))).json()
    value_hash = contact["contacts"][0]["hash"]
    gone = f"/v1/customers/{anna}/identifiers/external/{value_hash}"
    assert (await shops.customer.delete(gone)).status_code == 200
    path = f"/v1/customers/{boris}/identifiers"
    for value in ("1", "7"):
        assert (await shops.customer.post(path, json=external(value))).status_code == 200

    numbers = (str(number) for number in range(100, 1_000))

    async def taken() -> Json:
        later = receipt(next(numbers), external("7"), 5)
        answer = (await shops.interaction.post("/v1/receipts", json=later)).json()
        return answer if answer["customer"] is not None else None

    assert (await eventually(taken))["customer"] == boris
    new = await shops.interaction.post("/v1/receipts", json=receipt("3", external("1"), 20))
    assert new.json()["customer"] == boris
    # What was recorded before stays where it is, and is answered as it was.
    again = await shops.interaction.post("/v1/receipts", json=receipt("2", external("1"), 10))
    assert again.json() == {**first.json(), "repeated": True}


async def test_an_import_is_begun_shown_and_ended(shops: Shops) -> None:
    await shops.register("Ivanova", external("1"))
    beginning = {"id": "2017", "title": "The year 2017"}
    assert (await shops.send([receipt("1", external("1"), 5)], "2017"))[0]["status"] == 409
    assert (await shops.interaction.post("/v1/imports", json=beginning)).status_code == 201
    ready = (await shops.interaction.get("/readyz")).json()
    # A person should know; the process is ready all the same.
    assert (ready["ready"], ready["checks"]["open imports"]) == (True, "1")
    assert told(await shops.send([receipt("1", external("1"), 5)], "2017")) == ["new"]
    ended = await shops.interaction.post("/v1/imports/2017/end", json={"facts": 1})
    assert (ended.json()["open"], ended.json()["facts"]) == (False, 1)
    ready = (await shops.interaction.get("/readyz")).json()
    assert (ready["ready"], ready["checks"]["open imports"]) == (True, "0")
    late = [receipt("1", external("1"), 5), receipt("2", external("1"), 5)]
    assert told(await shops.send(late, "2017")) == ["again", "import-not-open"]
    listed = (await shops.interaction.get("/v1/imports")).json()
    assert [(each["id"], each["open"]) for each in listed["items"]] == [("2017", False)]

    async def caught_up() -> Json:
        report = (await shops.interaction.get("/v1/progress")).json()
        return report if report["caught_up"] else None

    report = await eventually(caught_up)
    # Begun, one receipt, ended.
    assert (report["commits"], report["parked"]) == (3, 0)


async def test_a_caller_of_a_branch_sees_sums_of_that_branch_only(
    chain: LocalChain, shops: Shops
) -> None:
    anna = await shops.register("Ivanova", external("1"))
    boris = await shops.register("Abramov", external("2"))
    await shops.send(
        [
            receipt("1", external("1"), 100, branch="12"),
            receipt("2", external("1"), 30, branch="13"),
            receipt("3", external("2"), 7, branch="13"),
        ]
    )
    await shops.totals(anna, 2)
    await shops.totals(boris, 1)
    till = {"Authorization": f"Bearer {await chain.key(Role.CASHIER, branches=['12'])}"}

    async def asked(path: str) -> Json:
        answer = await shops.interaction.get(path, headers=till)
        assert answer.status_code == 200
        return answer.json()

    annas = await asked(f"/v1/customers/{anna}/totals")
    assert (annas["receipts"], annas["spent_minor"]) == (1, 100)
    assert [each["branch"] for each in annas["branches"]] == ["12"]
    assert (await asked(f"/v1/customers/{boris}/totals"))["receipts"] == 0
    assert sums(await asked("/v1/totals")) == (1, 1, 100)
    assert [each["branch"] for each in (await asked("/v1/totals/branches"))["items"]] == ["12"]
    both = {"Authorization": f"Bearer {await chain.key(Role.READER, branches=['12', '13'])}"}
    found = (await shops.interaction.get("/v1/totals", headers=both)).json()
    # Anna was at both branches, and is one customer.
    assert sums(found) == (2, 3, 137)


async def test_a_till_is_last_heard_and_its_gaps_are_seen(chain: LocalChain, shops: Shops) -> None:
    await shops.register("Ivanova", external("1"))
    numbers = {"1": (7, 9, 12), "2": (1,)}
    sent = [
        receipt(f"{till}-{number}", external("1"), 10) | {"till": till, "number": number}
        for till, row in numbers.items()
        for number in row
    ]
    assert set(told(await shops.send(sent))) == {"new"}

    async def all_heard() -> Json | None:
        items = (await shops.interaction.get("/v1/tills", params={"branch": "12"})).json()["items"]
        # Each number is a document of its own: they appear in any order.
        gaps = [(each["first"], each["last"]) for row in items for each in row["gaps"]]
        known = ([each["highest"] for each in items], gaps)
        # 7, 9 and 12 came.
        return items if known == ([12, 1], [(8, 8), (10, 11)]) else None

    first, second = await eventually(all_heard)
    assert (first["till"], second["till"], second["gaps"]) == ("1", "2", [])
    assert first["last_time"] == "2017-12-01T09:30:00.000Z"
    other = {"Authorization": f"Bearer {await chain.key(Role.CASHIER, branches=['13'])}"}
    refused = await shops.interaction.get("/v1/tills", params={"branch": "12"}, headers=other)
    assert refused.status_code == 403


async def test_more_receipts_than_a_day_may_have_are_suspected_and_lifted(shops: Shops) -> None:
    anna = await shops.register("Ivanova", external("1"))
    # Eleven, where ten are allowed.
    await shops.send([receipt(str(n), external("1"), 10) for n in range(11)])

    async def suspected() -> Json | None:
        return (await shops.interaction.get("/v1/misuse")).json()["items"] or None

    (found,) = await eventually(suspected)
    assert (found["customer"], found["receipts"], found["limit"]) == (anna, 11, 10)
    assert (await shops.interaction.post(f"/v1/misuse/{anna}/lift")).status_code == 204

    async def lifted() -> bool | None:
        return (await suspected()) is None or None

    await eventually(lifted)
    totals = await shops.totals(anna, 11)
    assert [each["lifted"] for each in totals["suspicions"]] == [True]


async def test_a_chain_without_receipts_has_none(shops: Shops) -> None:
    assert sums((await shops.interaction.get("/v1/totals")).json()) == (0, 0, 0)
    assert (await shops.interaction.get("/v1/totals/branches")).json() == {"items": []}
    nobody = await shops.interaction.get("/v1/customers/nobody/totals")
    assert (nobody.status_code, nobody.json()["type"]) == (404, f"{PROBLEM}not-found")


async def test_a_thousand_receipts_are_summed_to_the_cent(shops: Shops) -> None:
    customers = [await shops.register(str(n), external(str(n))) for n in range(8)]
    items = [receipt(str(n), external(str(n % 8)), n, 2 * n) for n in range(1000)]
    assert set(told(await shops.send(items))) == {"new"}
    assert set(told(await shops.send(items[::-1]))) == {"again"}
    for customer in customers:
        assert (await shops.totals(customer, 125))["receipts"] == 125  # 1000 / 8
    totals = (await shops.interaction.get("/v1/totals")).json()
    # 3 × (0 + 1 + … + 999) = 3 × 499,500
    assert sums(totals) == (8, 1000, 1_498_500)
