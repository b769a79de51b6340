"""The timeline on real servers: what several services say of one person, in one list."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Formatter
from typing import Any

import httpx2
import pytest

from services.customer.main import build as build_customer
from services.interaction.domain.timeline import KINDS
from services.interaction.main import InteractionSettings
from services.interaction.main import build as build_interaction
from services.interaction.projections.timeline import TIMELINE
from services.notify.main import NotifySettings
from services.notify.main import build as build_notify
from services.segment.main import SegmentSettings
from services.segment.main import build as build_segment
from shared.access import Role
from shared.mongo import Database, MongoDocuments, connect
from shared.settings import Settings
from shared.testing import LocalChain, eventually
from shared.testing.plans import require_plans, scans

Json = Any
NOW = datetime(2018, 1, 2, tzinfo=UTC)
SALES = {
    "titles": {"en": "Sales"},
    "stages": [{"stage": "new", "titles": {"en": "New"}, "probability": 1000}],
    "won": {"en": "Won"},
    "lost": {"en": "Lost"},
    "lost_reasons": [],
}


@dataclass(frozen=True, slots=True)
class Town:
    """Customers with their deals, and facts, as the owner calls them."""

    chain: LocalChain
    customer: httpx2.AsyncClient
    interaction: httpx2.AsyncClient

    async def do(self, path: str, body: Json, client: httpx2.AsyncClient | None = None) -> Json:
        """The answer to a command, of the customer service unless said otherwise."""
        answer = await (client or self.customer).post(f"/v1/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def entries(self, customer: str, **query: Any) -> Json:  # noqa: ANN401 - any value of a query
        """A page; None while nobody knows the customer here."""
        answer = await self.interaction.get(f"/v1/customers/{customer}/timeline", params=query)
        return answer.json()["items"] if answer.status_code == 200 else None

    async def sentences(self, customer: str, count: int, **query: Any) -> list[str]:  # noqa: ANN401 - any value of a query
        """The sentences on the first page, once there are so many."""

        async def enough() -> Json:
            items = await self.entries(customer, **query)
            return items if items is not None and len(items) >= count else None

        return [entry["sentence"] for entry in await eventually(enough)]


@pytest.fixture
async def town(chain: LocalChain) -> AsyncIterator[Town]:
    """Two services of this test alone; the chain's clock stands still."""
    customer = chain.settings(Settings, clock_frozen_at=NOW)
    interaction = chain.settings(InteractionSettings, clock_frozen_at=NOW, currency="RUB")
    async with (
        chain.running(build_customer, customer) as customers,
        chain.running(build_interaction, interaction) as interactions,
    ):
        assert (await customers.put("/v1/pipelines/sales", json=SALES)).status_code == 200
        yield Town(chain, customers, interactions)


def person(name: str, external: str) -> Json:
    return {
        "surname": name,
        "home_branch": "12",
        "identifiers": [{"kind": "external", "value": external}],
    }


def receipt(source_id: str, external: str, day: int, *amounts: int) -> Json:
    return {
        "source_id": source_id,
        "branch": "12",
        "time": f"2017-12-{day:02}T09:30:00Z",
        "identifier": {"kind": "external", "value": external},
        "lines": [{"product": "bread", "quantity": 1, "amount": amount} for amount in amounts],
    }


async def test_one_list_tells_what_every_service_knows_and_follows_a_merge(town: Town) -> None:
    anna = (await town.do("customers", person("Ivanova", "1")))["id"]
    ben = (await town.do("customers", person("Petrov", "2")))["id"]
    await town.sentences(anna, 1)
    await town.sentences(ben, 1)
    sold = await town.do("receipts", receipt("r1", "1", 5, 10_000, 2_345), town.interaction)
    await town.do("receipts", receipt("r2", "2", 6, 500), town.interaction)
    await town.do(f"customers/{anna}/notes", {"text": "Likes tea"})
    deal = {"customer": anna, "pipeline": "sales", "branch": "12", "amount": 700, "title": "Cake"}
    opened = await town.do("deals", deal)
    assert (await town.entries(anna, min_version=sold["version"])) is not None
    whole = await town.sentences(anna, 4, language="ru")
    assert sorted(text.replace("\u00a0", " ") for text in whole) == [
        "Заметка",
        "Регистрация в филиале 12",
        "Сделка открыта в воронке sales: 7,00 ₽",
        "Чек на 123,45 ₽, 2 позиции",
    ]
    entries = await town.entries(anna)
    assert {(entry["text"], entry["source"]) for entry in entries if entry["text"]} == {
        ("Cake", f"/v1/deals/{opened['id']}"),
        ("Likes tea", f"/v1/customers/{anna}"),
    }
    # The receipt is the oldest: it happened in December, the rest was written in January.
    assert (entries[-1]["kind"], entries[-1]["time"]) == (
        "interaction.receipt_recorded",
        "2017-12-05T09:30:00.000Z",
    )
    fact = await town.interaction.get(entries[-1]["source"])
    assert fact.json() == entries[-1]

    await town.do(f"customers/{ben}/merge", {"into": anna, "reason": "twins"})
    together = await eventually(lambda: _with(town, anna, "customer.absorbed", "customer.merged"))
    assert [entry["kind"] for entry in together].count("interaction.receipt_recorded") == 2

    async def same() -> bool | None:
        return bool(await town.entries(ben) == await town.entries(anna)) or None

    await eventually(same)
    purchases = await town.entries(ben, group="purchase", language="ru")
    assert [entry["amount_minor"] for entry in purchases] == [500, 12_345]

    await town.do(f"customers/{ben}/merge/revert", {})

    async def apart() -> bool | None:
        # The move of the merge may have come late, and goes back then.
        bens, annas = [await town.entries(each, group="purchase") for each in (ben, anna)]
        return [entry["amount_minor"] for entry in [*bens, *annas]] == [500, 12_345] or None

    await eventually(apart)

    await town.do(f"customers/{anna}/erase", {"confirm": "erase", "reason": "request"})
    await eventually(lambda: _with(town, anna, "customer.erased"))

    async def silent() -> Json:
        # Who was erased, and whose keys are gone, may be known some seconds after the entry.
        found = await town.entries(anna)
        return found if {entry["text"] for entry in found} == {None} else None

    erased = await eventually(silent)
    assert "customer.erased" in {entry["kind"] for entry in erased}
    assert "tea" not in json.dumps(erased)


async def _with(town: Town, customer: str, *kinds: str) -> Json:
    """The customer's entries once they have the kinds."""
    entries = await town.entries(customer)
    return entries if set(kinds) <= {entry["kind"] for entry in entries or ()} else None


async def test_a_till_sees_its_branch_and_what_is_of_none(town: Town) -> None:
    anna = (await town.do("customers", person("Ivanova", "1")))["id"]
    await town.sentences(anna, 1)
    await town.do("receipts", receipt("r1", "1", 5, 100) | {"branch": "13"}, town.interaction)
    await town.sentences(anna, 2)

    async def seen(*branches: str) -> list[str]:
        key = await town.chain.key(Role.CASHIER, branches=list(branches))
        answer = await town.interaction.get(
            f"/v1/customers/{anna}/timeline", headers={"Authorization": f"Bearer {key}"}
        )
        assert answer.status_code == 200, answer.text
        return [entry["kind"] for entry in answer.json()["items"]]

    assert await seen("13") == ["interaction.receipt_recorded"]
    assert await seen("12") == ["customer.registered"]
    assert await seen("99") == []


async def test_pages_and_filters_are_asked_by_their_indexes(chain: LocalChain) -> None:
    settings = chain.settings(Settings)
    client = connect(settings.mongo_url)
    try:
        database = Database(client, settings.database_prefix + "plans")
        await require_plans(database)
        documents = MongoDocuments(database, TIMELINE.name)
        await documents.create_indexes(TIMELINE.indexes)
        raws = [
            {"_id": f"e{n}", "rev": 1, "customer": f"c{n % 5}", "place": f"{n:04}", "group": "note"}
            for n in range(500)
        ]
        await documents.write(raws)
        span = {"$gte": "0", "$lt": "0300"}
        for where in (
            {"customer": "c1", "place": span},
            {"customer": "c1", "place": span, "group": "note"},
        ):
            cursor = documents.collection.motor.find(where).sort("place", -1).limit(10)
            plan = await cursor.explain()
            assert not scans(plan), plan
            found = await documents.collection.find(where, sort=[("place", -1)], limit=10)
            assert [raw["place"] for raw in found] == [f"{n:04}" for n in range(296, 250, -5)]
    finally:
        client.close()


async def test_every_entry_leads_to_an_address_that_there_is(chain: LocalChain) -> None:
    async with (
        chain.running(build_customer, chain.settings(Settings)) as customer,
        chain.running(build_interaction, chain.settings(InteractionSettings)) as interaction,
        chain.running(build_segment, chain.settings(SegmentSettings)) as segment,
        chain.running(build_notify, chain.settings(NotifySettings)) as notify,
    ):
        known = set()
        for client in (customer, interaction, segment, notify):
            pages = (await client.get("/openapi.json")).json()["paths"]
            known |= {_shape(path) for path, methods in pages.items() if "get" in methods}
    assert {_shape(kind.source) for kind in KINDS.values()} - known == set()


def _shape(path: str) -> str:
    """The path without the names of its places."""
    return "".join(
        text + ("" if name is None else "{}") for text, name, *_ in Formatter().parse(path)
    )
