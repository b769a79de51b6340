"""Finding what is bought together by a job, and what callers are told of it, on memory."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.api.product_categories import ProductCategoryApi
from services.interaction.api.products import ProductApi
from services.interaction.api.recommendations import RecommendationApi
from services.interaction.domain.affinity import Measure
from services.interaction.handlers.recommending import BY, KIND, Recommending, Schedule
from services.interaction.projections.products import ProductDocument
from services.interaction.queries import baskets as reading
from services.interaction.queries.baskets import Receipts
from services.interaction.queries.product_categories import CategoryBook
from services.interaction.queries.products import Products
from services.interaction.queries.purchases import purchases_of
from services.interaction.queries.recommendations import Recommendations
from shared.access import Authenticator, Kind, Role, Scope, issue
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.contract import EventData
from shared.events.interaction import ReceiptLine, ReceiptRecorded, ReceiptVoided, VisitRecorded
from shared.events.moving import FactsMoved, MovedFact
from shared.execute import Writer
from shared.http import build_app
from shared.jobs import JobRunner, Jobs, kinds_by_name
from shared.keyring import Keyring
from shared.memory import (
    MemoryApiKeys,
    MemoryDocuments,
    MemoryEventStore,
    MemoryJobs,
    MemoryKeyStore,
    MemoryLeases,
)
from shared.testing import DAY, client_of
from shared.testing.collections import MemoryCommits, MemoryQuestions
from shared.testing.facts import tell

SECRET = bytes(32)
EVERYWHERE = Scope(Kind.FACT, None)
Json = Any


def receipt(fact: str, products: str) -> ReceiptRecorded:
    lines = tuple(ReceiptLine(product=name, quantity=Decimal(1), amount=100) for name in products)
    return ReceiptRecorded(
        fact=fact, source="pos", source_id=fact, total=0, coupon_lines=0, lines=lines
    )


def voided(fact: str) -> ReceiptVoided:
    return ReceiptVoided(
        fact=f"v{fact}",
        source="pos",
        source_id=f"v{fact}",
        receipt=fact,
        bought=DAY,
        bought_at="12",
        total=0,
        lines=(),
    )


def moved(
    direction: Literal["in", "out"], *facts: ReceiptRecorded, branch: str = "12"
) -> FactsMoved:
    return FactsMoved(
        move="m",
        direction=direction,
        facts=tuple(
            MovedFact(
                fact=each.fact,
                type=each.type,
                time=DAY,
                recordedtime=DAY,
                branch=branch,
                home="x",
                hops=1,
                data=each.model_dump(mode="json", exclude_none=True),
            )
            for each in facts
        ),
    )


@dataclass(slots=True)
class Living:
    """Whom ids find: the customer who lives on."""

    living: dict[str, str] = field(default_factory=lambda: {"customer|anna": "anna"})

    async def owners(self, ids: Collection[str]) -> Mapping[str, str]:
        return {name: self.living[name] for name in ids if name in self.living}


@dataclass(slots=True)
class Shop:
    """Receipts, the job, and the API over what it found."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    found: MemoryDocuments = field(default_factory=MemoryDocuments)
    listed: MemoryDocuments = field(default_factory=MemoryDocuments)
    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    customers: Living = field(default_factory=Living)
    jobs: Jobs = field(init=False)
    writer: Writer = field(init=False)
    runner: JobRunner = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = Jobs(MemoryJobs(), self.clock)
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(self.store, keyring, self.clock, "interaction")
        self.runner = JobRunner(
            self.jobs.store,
            MemoryLeases(self.clock),
            self.clock,
            kinds_by_name([self.recommending()]),
            "worker",
        )

    def recommending(self) -> Recommending:
        return Recommending(
            Receipts(MemoryCommits(self.store)),
            self.found,
            self.known,
            self.clock,
            Measure(180.0, least_together=2),
        )

    @property
    def known(self) -> Recommendations:
        return Recommendations(MemoryQuestions(self.found))

    async def sell(
        self, *sold: EventData, customer: str = "anna", at: datetime = DAY, branch: str = "12"
    ) -> None:
        events = [NewEvent(each, at, branch) for each in sold]
        await tell(self.writer, f"interaction-{customer}", customer, events)

    async def product(self, name: str, title: str, *, archived: bool = False) -> None:
        document = ProductDocument(
            id=name, rev=1, sort=name, titles={"en": title}, names=[], archived=archived
        )
        await self.listed.write([msgspec.to_builtins(document)])

    async def find(self) -> None:
        """Run the job once."""
        await self.jobs.begin(KIND, BY, {})
        await self.runner.look()
        await self.runner.settle()

    async def caller(self, role: Role = Role.OWNER, *branches: str) -> httpx2.AsyncClient:
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        products = Products(MemoryQuestions(self.listed), CategoryBook(self.writer))
        api = RecommendationApi(
            self.known,
            products,
            self.customers.owners,
            self.store,
            self.jobs,
            self.clock,
        )
        app = build_app(
            title="test",
            service="interaction",
            routers=[
                api.router(),
                ProductApi(self.writer, products, self.clock).router(),
                ProductCategoryApi(products.categories, self.clock).router(),
            ],
            authenticator=Authenticator(self.keys, SECRET),
            readiness=self._readiness,
        )
        return client_of(app, text)

    async def _readiness(self) -> Json:
        return {}


@pytest.fixture
async def shop() -> Shop:
    """Ten baskets: a with b in three of five, c alone in five."""
    shop = Shop()
    sold = [receipt(f"ab{n}", "ab") for n in range(3)]
    sold += [receipt(f"a{n}", "a") for n in range(2)]
    await shop.sell(*sold, customer="boris")
    await shop.sell(*[receipt(f"c{n}", "c") for n in range(5)], customer="clara")
    return shop


async def partners(shop: Shop, product: str) -> Sequence[tuple[str, float, int]]:
    found = (await shop.known.of([product])).get(product)
    pairs = [] if found is None else found.partners
    return [(each.product, each.lift, each.together) for each in pairs]


async def test_the_job_finds_partners_with_their_counts(shop: Shop) -> None:
    await shop.find()
    found = (await shop.known.of(["a"]))["a"]
    assert (found.baskets, found.total, found.one_in, found.found_at) == (5, 10, 1, DAY)
    # 3 of 10 baskets have both, 5 have a, 3 have b: 0.3 / (0.5 * 0.3) = 2.
    assert await partners(shop, "a") == [("b", 2.0, 3)]
    assert await partners(shop, "b") == [("a", 2.0, 3)]
    assert await partners(shop, "c") == []
    (job,) = await shop.jobs.store.page(by=None, kinds=[KIND], before=None, limit=9)
    assert (job.state, job.position, job.total, job.counts) == ("done", 3, 3, {"products": 2})


async def test_each_receipt_counts_once_however_facts_move_and_voided_ones_do_not(
    shop: Shop,
) -> None:
    shared = [receipt(f"ab{n}", "ab") for n in range(3)]
    await shop.sell(moved("out", *shared), customer="boris")
    await shop.sell(moved("in", *shared), customer="anna")
    await shop.find()
    assert await partners(shop, "a") == [("b", 2.0, 3)]
    # Voided by a fact that stands in another stream, before the one of the receipt.
    await shop.sell(voided("ab0"), customer="anna")
    await shop.find()
    # 2 of 9 have both, 4 have a, 2 have b: 9 * 2 / (4 * 2) = 2.25.
    assert await partners(shop, "a") == [("b", 2.25, 2)]
    # With one left there is no pair, and what was found before goes.
    shop.clock.advance(timedelta(days=1))
    await shop.sell(voided("ab1"), customer="anna")
    await shop.find()
    assert await partners(shop, "a") == []


async def test_receipts_are_read_page_by_page_of_customers_and_of_who_is_unknown(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE", 2)
    for number in range(4):
        await shop.sell(receipt(f"u{number}", "cd"), customer=f"k{number}")
        await tell(
            shop.writer,
            f"unknown-{number}",
            "u",
            [NewEvent(receipt(f"x{number}", "cd"), DAY, "12")],
        )
        await tell(
            shop.writer, f"task-{number}", "t", [NewEvent(receipt(f"t{number}", "cd"), DAY, "12")]
        )
    await shop.find()
    # 10 + 8 baskets; c in 5 + 8, d in 8 with c: 18 * 8 / (13 * 8) = 1.3846.
    assert await partners(shop, "c") == [("d", 1.3846, 8)]


async def test_a_run_that_is_killed_leaves_what_was_there_and_is_done_anew(shop: Shop) -> None:
    await shop.find()
    await shop.sell(*[receipt(f"cd{n}", "cd") for n in range(4)], customer="clara")
    await shop.jobs.begin(KIND, BY, {})
    await shop.runner.look()
    running = asyncio.create_task(shop.runner.settle())
    await asyncio.sleep(0)
    await shop.runner._leave()  # noqa: SLF001 - what a process does that ends
    await running
    assert await partners(shop, "a") == [("b", 2.0, 3)]
    assert await partners(shop, "c") == []
    shop.clock.advance(timedelta(minutes=1))
    await shop.runner.look()
    await shop.runner.settle()
    # 14 baskets: c in 9, d in 4, both in 4: 14 * 4 / (9 * 4) = 1.5556.
    assert await partners(shop, "c") == [("d", 1.5556, 4)]


async def test_a_stopped_run_goes_no_further(shop: Shop) -> None:
    async with await shop.caller() as owner:
        asked = (await owner.post("/v1/recommendations/jobs")).json()
    await shop.runner.look()
    job = await shop.jobs.store.get(asked["id"])
    assert job is not None
    stopped = await shop.jobs.store.write(
        msgspec.structs.replace(job, rev=job.rev + 1, wish="stop")
    )
    await shop.runner.settle()
    job = await shop.jobs.store.get(asked["id"])
    assert job is not None
    assert (stopped, job.state) == (True, "stopped")
    assert await partners(shop, "a") == []


async def test_it_is_asked_for_once_in_each_span_by_however_many(shop: Shop) -> None:
    first, second = (Schedule(shop.jobs, shop.clock, timedelta(hours=24)) for _ in range(2))
    for schedule in (first, second, first):
        await schedule.look()
    shop.clock.advance(timedelta(hours=24))
    await second.look()
    jobs = await shop.jobs.store.page(by=None, kinds=[KIND], before=None, limit=9)
    assert len(jobs) == 2
    running = asyncio.create_task(first.run())
    await asyncio.sleep(0.01)
    running.cancel()
    assert len(await shop.jobs.store.page(by=None, kinds=[KIND], before=None, limit=9)) == 2


async def get(client: httpx2.AsyncClient, path: str, **asked: str | int) -> Json:
    answer = await client.get(f"/v1/{path}/recommendations", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_a_product_tells_what_goes_with_it_and_why(shop: Shop) -> None:
    await shop.find()
    await shop.product("a", "Bread")
    await shop.product("b", "Butter")
    async with await shop.caller() as owner:
        (item,) = await get(owner, "products/a")
        assert item == {
            "product": "b",
            "title": "Butter",
            "reasons": [
                {
                    "product": "a",
                    "title": "Bread",
                    "lift": 2.0,
                    "share": 0.6,
                    "together": 3,
                    "baskets": 5,
                    "baskets_other": 3,
                    "total": 10,
                    "one_in": 1,
                    "last": "2017-12-01T09:30:00.000Z",
                    "because": "Bought Bread; of 5 baskets with it 3 also had Butter, "
                    "2.0 times as often as expected.",
                }
            ],
        }
        (item,) = await get(owner, "products/a", language="ru")
        assert item["reasons"][0]["because"] == (
            "Куплено: Bread; из 5 чеков, где это есть, в 3 есть и Butter: "
            "в 2,0 раза чаще ожидаемого."
        )
        assert await get(owner, "products/c") == []
        # Nobody keeps a catalogue of it, so its id is its name.
        (item,) = await get(owner, "products/b")
        assert item["title"] == "Bread"
    # What belongs to the whole chain is no business of a branch; shares are.
    async with await shop.caller(Role.CASHIER, "12") as cashier:
        (item,) = await get(cashier, "products/a")
        (reason,) = item["reasons"]
        hidden = [reason[name] for name in ("together", "baskets", "baskets_other", "total")]
        assert hidden == [None] * 4
        assert reason["share"] == 0.6
        assert reason["because"] == (
            "Bought Bread; 60 % of the baskets with it also had Butter, "
            "2.0 times as often as expected."
        )


async def test_a_customer_is_told_what_goes_with_what_was_bought_in_the_last_year(
    shop: Shop,
) -> None:
    await shop.find()
    async with await shop.caller() as owner:
        assert await get(owner, "customers/anna") == []
        await shop.sell(receipt("n1", "a"))
        (item,) = await get(owner, "customers/anna")
        assert (item["product"], item["title"], item["reasons"][0]["product"]) == ("b", None, "a")
        # What is not sold any more is not recommended.
        await shop.product("b", "Butter", archived=True)
        assert await get(owner, "customers/anna") == []
        # What was bought is not recommended either.
        await shop.sell(receipt("n2", "b"))
        assert await get(owner, "customers/anna") == []
        answer = await owner.get("/v1/customers/nobody/recommendations")
        assert answer.status_code == 404


async def test_what_counts_as_bought_is_narrowed_to_the_callers_branches(shop: Shop) -> None:
    await shop.find()
    await shop.sell(receipt("n1", "a"), branch="40")
    async with await shop.caller(Role.CASHIER, "12") as cashier:
        assert await get(cashier, "customers/anna") == []
    async with await shop.caller(Role.CASHIER, "40") as cashier:
        assert [each["product"] for each in await get(cashier, "customers/anna")] == ["b"]
    # Bought more than a year ago, it is no reason any more.
    shop.clock.advance(timedelta(days=366))
    async with await shop.caller() as owner:
        assert await get(owner, "customers/anna") == []


async def test_a_merged_customer_answers_with_the_survivors_purchases(shop: Shop) -> None:
    await shop.find()
    shop.customers.living["customer|old"] = "anna"
    await shop.sell(moved("in", receipt("n1", "a")))
    async with await shop.caller() as owner:
        assert [each["product"] for each in await get(owner, "customers/old")] == ["b"]


async def test_purchases_are_those_that_live_at_the_customer_now(shop: Shop) -> None:
    first, second = receipt("n1", "ab"), receipt("n2", "a")
    visit = VisitRecorded(fact="w", source="pos", source_id="w", visit="w", state="kept")
    await shop.sell(first, second, receipt("n3", "c"), visit)
    await shop.sell(voided("n3"), moved("out", first))
    purchases = await purchases_of(shop.store, "anna")
    year_ago = DAY - timedelta(days=365)
    assert purchases.since(year_ago, EVERYWHERE) == {"a": 1}
    await shop.sell(moved("in", first, branch="40"))
    purchases = await purchases_of(shop.store, "anna")
    assert list(purchases.since(year_ago, EVERYWHERE).items()) == [("a", 2), ("b", 1)]
    assert purchases.since(year_ago, Scope(Kind.FACT, frozenset({"40"}))) == {"a": 1, "b": 1}
    assert purchases.since(DAY + timedelta(1), EVERYWHERE) == {}
    assert (await purchases_of(shop.store, "nobody")).receipts == {}


async def test_what_a_line_gives_back_was_not_bought(shop: Shop) -> None:
    given = receipt("n1", "a").model_copy(
        update={
            "lines": (
                ReceiptLine(product="a", quantity=Decimal(-1), amount=-5),
                ReceiptLine(product="b", quantity=Decimal(0), amount=0),
            )
        }
    )
    await shop.sell(given)
    purchases = await purchases_of(shop.store, "anna")
    assert purchases.since(DAY - timedelta(1), EVERYWHERE) == {"b": 1}


async def test_only_the_chains_own_keys_ask_for_it(shop: Shop) -> None:
    async with await shop.caller(Role.CASHIER) as cashier:
        assert (await cashier.post("/v1/recommendations/jobs")).status_code == 403
    async with await shop.caller(Role.MANAGER, "12") as manager:
        assert (await manager.post("/v1/recommendations/jobs")).status_code == 403
    async with await shop.caller(Role.MANAGER) as manager:
        key = {"Idempotency-Key": "once"}
        asked = [(await manager.post("/v1/recommendations/jobs", headers=key)) for _ in range(2)]
    assert [each.status_code for each in asked] == [202, 202]
    assert asked[0].json()["id"] == asked[1].json()["id"]
