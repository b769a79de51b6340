"""The catalogue over HTTP, on memory: one, a batch, pages, history, and what receipts look up."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.api.product_categories import ProductCategoryApi
from services.interaction.api.products import ProductApi
from services.interaction.projections.products import PRODUCTS, ProductDocument, apply, beginnings
from services.interaction.queries.product_categories import CategoryBook
from services.interaction.queries.products import Products
from shared.access import Authenticator, Role, issue
from shared.clock import ManualClock
from shared.envelope import decode_light
from shared.execute import Writer
from shared.http import build_app
from shared.keyring import Keyring
from shared.memory import MemoryApiKeys, MemoryDocuments, MemoryEventStore, MemoryKeyStore
from shared.projection import Event
from shared.readmodel import Questions, RawDocument
from shared.testing import DAY, client_of
from shared.testing.collections import MemoryQuestions

SECRET = bytes(32)
BREAD = {"titles": {"en": "Rye bread", "ru": "Ржаной хлеб"}, "price": 199, "cost": 88}
Json = Any


@dataclass(slots=True)
class Counting:
    """Questions that are remembered."""

    answering: Questions
    asked: list[Any] = field(default_factory=list)

    async def get(self, document_id: str) -> RawDocument | None:
        return await self.answering.get(document_id)

    async def find(self, where: Any, **more: Any) -> list[RawDocument]:  # noqa: ANN401 - passed on
        self.asked.append(where)
        return await self.answering.find(where, **more)

    async def count(self, where: Any, limit: int | None = None) -> int:  # noqa: ANN401 - passed on
        return await self.answering.count(where, limit)


@dataclass(slots=True)
class Catalogue:
    """The catalogue on memory; `fold` is what its projector does."""

    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    keys: MemoryApiKeys = field(default_factory=MemoryApiKeys)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    products: Products = field(init=False)
    questions: Counting = field(init=False)
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        keyring = Keyring(MemoryKeyStore(), AESGCM(bytes(32)))
        self.writer = Writer(self.store, keyring, ManualClock(DAY), "interaction")
        self.questions = Counting(MemoryQuestions(self.documents))
        self.products = Products(self.questions, CategoryBook(self.writer))

    async def caller(self, role: Role = Role.OWNER, *branches: str) -> httpx2.AsyncClient:
        text, stored = issue(SECRET, title="test", roles=[role], branches=branches or None)
        await self.keys.add(stored)
        clock = ManualClock(DAY)
        app = build_app(
            title="test",
            service="interaction",
            routers=[
                ProductApi(self.writer, self.products, clock).router(),
                ProductCategoryApi(self.products.categories, clock).router(),
            ],
            authenticator=Authenticator(self.keys, SECRET),
            readiness=self._readiness,
        )
        return client_of(app, text)

    async def _readiness(self) -> Json:
        return {}

    async def fold(self) -> None:
        """Take up all events that the read model has not yet."""
        for commit in self.store.commits:
            for text in commit.events:
                light = decode_light(text.encode())
                struct = PRODUCTS.reads.get(light.type)
                if struct is None:
                    continue
                event = Event(light, msgspec.json.decode(light.data, type=struct), 0)
                name = light.stream.removeprefix("product-")
                assert PRODUCTS.target(event) == name
                raw = (await self.documents.load([name])).get(name)
                known = None if raw is None else msgspec.convert(raw, ProductDocument)
                if known and known.versions.get(light.stream, 0) >= light.streamversion:
                    continue
                folded = apply(known, event)
                folded.versions[light.stream] = light.streamversion
                folded.rev += 1
                await self.documents.write([msgspec.to_builtins(folded)])


@pytest.fixture
def catalogue() -> Catalogue:
    """An empty catalogue."""
    return Catalogue()


@pytest.fixture
async def owner(catalogue: Catalogue) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who may do all."""
    async with await catalogue.caller() as client:
        yield client


def problem(answer: httpx2.Response) -> tuple[int, str, list[str]]:
    body = answer.json()
    kind = body["type"].removeprefix("urn:regulars:problem:")
    return answer.status_code, kind, [error["field"] for error in body.get("errors", [])]


async def put(
    client: httpx2.AsyncClient, path: str, body: Json, version: int | None = None
) -> Json:
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    answer = await client.put(f"/v1/{path}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids(client: httpx2.AsyncClient, **asked: str | int) -> list[str]:
    answer = await client.get("/v1/products", params=asked)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["items"]]


async def test_a_product_is_defined_changed_archived_and_tells_its_history(
    owner: httpx2.AsyncClient,
) -> None:
    await put(owner, "product-categories/food", {"titles": {"en": "Food"}})
    await put(owner, "product-categories/bakery", {"titles": {"en": "Bakery"}, "parent": "food"})
    # An id may hold a slash.
    path = "products/17/3"
    first = await put(owner, path, {**BREAD, "category": "bakery"})
    assert first == {"id": "17/3", "version": 1, "repeated": False}
    got = await owner.get(f"/v1/{path}")
    assert got.headers["etag"] == '"1"'
    assert got.json() == {
        "id": "17/3",
        "version": 1,
        **BREAD,
        "category": "bakery",
        "path": ["food", "bakery"],
        "archived": False,
    }
    dearer = {**BREAD, "category": "bakery", "price": 219}
    assert problem(await owner.put(f"/v1/{path}", json=dearer)) == (
        428,
        "precondition-required",
        [],
    )
    assert problem(await owner.put(f"/v1/{path}", json=dearer, headers={"If-Match": '"7"'})) == (
        412,
        "precondition-failed",
        [],
    )
    assert (await put(owner, path, dearer, 1))["version"] == 2
    # The same again rests on nothing and changes nothing.
    assert (await put(owner, path, dearer))["version"] == 2
    gone = await owner.post(f"/v1/{path}/archive", headers={"If-Match": '"2"'})
    assert gone.json()["version"] == 3
    assert problem(await owner.put(f"/v1/{path}", json=BREAD)) == (409, "archived", [])
    back = await owner.post(f"/v1/{path}/restore", headers={"If-Match": "*"})
    assert back.json()["version"] == 4
    history = (await owner.get(f"/v1/{path}/history")).json()["items"]
    assert [(each["version"], each["what"]) for each in history] == [
        (1, "defined"),
        (2, "defined"),
        (3, "archived"),
        (4, "restored"),
    ]
    assert history[0]["time"] == "2017-12-01T09:30:00.000Z"
    assert [each["field"] for each in history[0]["changes"]] == [
        "titles",
        "category",
        "price",
        "cost",
    ]
    assert history[1]["changes"] == [{"field": "price", "before": 199, "after": 219}]
    assert history[2]["changes"] == [{"field": "archived", "before": False, "after": True}]


async def test_who_asks_for_what_is_not_there_is_told(owner: httpx2.AsyncClient) -> None:
    for path in ("products/1", "products/1/history", "product-categories/x"):
        assert problem(await owner.get(f"/v1/{path}")) == (404, "not-found", [])
    for path in ("products/1/archive", "product-categories/x/restore"):
        answer = await owner.post(f"/v1/{path}", headers={"If-Match": "*"})
        assert problem(answer) == (404, "not-found", [])


@pytest.mark.parametrize(
    ("body", "field_name"),
    [
        ({**BREAD, "category": "nowhere"}, "category"),
        ({**BREAD, "price": -1}, "price"),
        ({**BREAD, "price": 1.5}, "price"),
        ({**BREAD, "titles": {}}, "titles"),
        ({**BREAD, "stock": 3}, "stock"),
    ],
)
async def test_wrong_input_names_the_field(
    owner: httpx2.AsyncClient, body: Json, field_name: str
) -> None:
    assert problem(await owner.put("/v1/products/1", json=body)) == (422, "invalid", [field_name])


async def test_an_id_that_has_the_address_of_something_else_is_refused(
    owner: httpx2.AsyncClient,
) -> None:
    items = [{"id": "1/history", **BREAD}, {"id": "1/historyx", **BREAD}]
    answers = (await owner.post("/v1/products/batch", json={"items": items})).json()["items"]
    assert [each["status"] for each in answers] == [422, 200]
    assert [error["field"] for error in answers[0]["problem"]["errors"]] == ["id"]


async def test_a_batch_answers_per_item_and_sent_again_appends_nothing(
    catalogue: Catalogue, owner: httpx2.AsyncClient
) -> None:
    items = [
        {"id": "1", **BREAD},
        {"id": "2", **BREAD, "category": "nowhere"},
        {"id": "3"},
        {"id": "1", **BREAD, "price": 250},
    ]
    answer = await owner.post("/v1/products/batch", json={"items": items})
    told = answer.json()["items"]
    assert [(each["status"], each.get("id"), each.get("version")) for each in told] == [
        (200, "1", 1),
        (422, "2", None),
        (422, None, None),
        (200, "1", 2),
    ]
    assert len(catalogue.store.commits) == 1
    again = await owner.post("/v1/products/batch", json={"items": [items[3]]})
    assert again.json()["items"] == [
        {"index": 0, "status": 200, "id": "1", "version": 2, "repeated": False}
    ]
    assert len(catalogue.store.commits) == 1
    # Under a key of its own, it is the same answer for ever.
    key = {"Idempotency-Key": "monday"}
    change = {"items": [{"id": "1", **BREAD}]}
    first = await owner.post("/v1/products/batch", json=change, headers=key)
    second = await owner.post("/v1/products/batch", json=change, headers=key)
    assert [each.json()["items"][0]["repeated"] for each in (first, second)] == [False, True]
    other = {"items": [{"id": "1", **BREAD, "price": 1}]}
    third = await owner.post("/v1/products/batch", json=other, headers=key)
    assert third.json()["items"][0]["problem"]["type"].endswith("command-differs")


async def test_products_are_listed_by_category_and_by_words_of_their_titles(
    catalogue: Catalogue, owner: httpx2.AsyncClient
) -> None:
    tree = [
        {"id": "food", "titles": {"en": "Food"}},
        {"id": "bakery", "titles": {"en": "Bakery"}, "parent": "food"},
        {"id": "drinks", "titles": {"en": "Drinks"}},
        {"id": "lost", "titles": {"en": "Lost"}, "parent": "nowhere"},
    ]
    answer = await owner.post("/v1/product-categories/batch", json={"items": tree})
    assert [each["status"] for each in answer.json()["items"]] == [200, 200, 200, 422]
    items = [
        {"id": "1", "titles": {"en": "Rye bread", "ru": "Ржаной хлеб"}, "category": "bakery"},
        {"id": "2", "titles": {"en": "Café crème"}, "category": "drinks"},
        {"id": "3", "titles": {"en": "Breadsticks, long"}, "category": "food"},
        {"id": "4", "titles": {"en": "Abc xyz"}},
    ]
    await owner.post("/v1/products/batch", json={"items": items})
    await catalogue.fold()
    assert await ids(owner) == ["1", "2", "3", "4"]
    assert await ids(owner, category="food") == ["1", "3"]
    assert await ids(owner, category="nowhere") == []
    assert await ids(owner, title="BREAD") == ["1", "3"]
    assert await ids(owner, title="rye b") == ["1"]
    assert await ids(owner, title="хле") == ["1"]
    assert await ids(owner, title="cafe cre") == ["2"]
    # Between "abc xyz" and "xyz": neither of them.
    assert await ids(owner, title="m") == []
    assert await ids(owner, title="bread", category="bakery") == ["1"]
    page = (await owner.get("/v1/products", params={"limit": 3})).json()
    assert await ids(owner, limit=3, cursor=page["next_cursor"]) == ["4"]
    await owner.post("/v1/products/2/archive", headers={"If-Match": "*"})
    await catalogue.fold()
    assert await ids(owner) == ["1", "3", "4"]
    assert await ids(owner, archived="true") == ["2"]
    got = await owner.get("/v1/products/2", params={"min_version": 2})
    assert got.json()["archived"]


async def test_the_tree_is_shown_as_one(owner: httpx2.AsyncClient) -> None:
    await put(owner, "product-categories/food", {"titles": {"en": "Food"}})
    await put(owner, "product-categories/bakery", {"titles": {"en": "Bakery"}, "parent": "food"})
    await put(owner, "product-categories/food", {"titles": {"en": "Foods"}}, 1)
    gone = await owner.post("/v1/product-categories/bakery/archive", headers={"If-Match": '"2"'})
    assert gone.json() == {"id": "bakery", "version": 4, "repeated": False}
    bakery = {
        "id": "bakery",
        "version": 4,
        "titles": {"en": "Bakery"},
        "parent": "food",
        "archived": True,
        "children": [],
    }
    food = {
        "id": "food",
        "version": 3,
        "titles": {"en": "Foods"},
        "parent": None,
        "archived": False,
        "children": [bakery],
    }
    answer = await owner.get("/v1/product-categories")
    assert answer.json() == {"version": 4, "roots": [food]}
    assert (await owner.get("/v1/product-categories/food")).headers["etag"] == '"3"'
    # A cycle is refused by the field that makes it.
    body = {"titles": {"en": "Foods"}, "parent": "food"}
    answer = await owner.put("/v1/product-categories/food", json=body, headers={"If-Match": '"3"'})
    assert problem(answer) == (422, "invalid", ["parent"])


async def test_only_the_chains_own_keys_change_the_catalogue(catalogue: Catalogue) -> None:
    async with await catalogue.caller(Role.CASHIER) as cashier:
        assert problem(await cashier.put("/v1/products/1", json=BREAD)) == (403, "forbidden", [])
        assert (await cashier.get("/v1/products")).status_code == 200
    async with await catalogue.caller(Role.MANAGER, "12") as manager:
        body = {"titles": {"en": "Food"}}
        for answer in (
            await manager.put("/v1/products/1", json=BREAD),
            await manager.post("/v1/products/batch", json={"items": []}),
            await manager.put("/v1/product-categories/food", json=body),
            await manager.post("/v1/product-categories/batch", json={"items": []}),
        ):
            assert problem(answer) == (403, "out-of-scope", [])


async def test_receipts_look_up_what_is_true_now(
    catalogue: Catalogue, owner: httpx2.AsyncClient
) -> None:
    products, asked = catalogue.products, catalogue.questions.asked
    # Of a chain without a catalogue one small question is asked every few seconds.
    for _ in range(3):
        assert await products.of(["1", "2"]) == {}
    assert asked == [{}]
    await put(owner, "product-categories/food", {"titles": {"en": "Food"}})
    await put(owner, "product-categories/bakery", {"titles": {"en": "Bakery"}, "parent": "food"})
    await put(owner, "products/1", {**BREAD, "category": "bakery"})
    await catalogue.fold()
    forget(products)
    (found,) = (await products.of(["1", "2", "1"])).values()
    assert (found.category, found.path, found.cost) == ("bakery", ("food", "bakery"), 88)
    assert found.titles == BREAD["titles"]
    asked.clear()
    # Both are known by now: that there is none, too.
    assert list(await products.of(["1", "2"])) == ["1"]
    assert asked == []
    assert list(await products.of(["1", "3"])) == ["1"]
    assert asked == [{"_id": {"$in": ["3"]}}]
    forget(products)
    assert list(await products.of(["1"])) == ["1"]


def forget(products: Products) -> None:
    """As after a few seconds."""
    products._since = float("-inf")  # noqa: SLF001 - time itself would have to pass


def test_a_title_is_found_from_each_of_its_words_on() -> None:
    assert beginnings({"en": "Rye  BREAD!", "de": "Rye bread"}) == ["rye bread", "bread"]
    assert len(beginnings({"en": " ".join("abcdefghijklmnopqrstuvwxyz")})) == 24
