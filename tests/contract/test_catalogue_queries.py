"""What catalogue and recommendations ask of a collection, in memory and of MongoDB alike."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.interaction.domain.affinity import Baskets, Counted, Measure
from services.interaction.domain.product_categories import DefineCategory
from services.interaction.handlers.products import AskedOfTree, change_categories
from services.interaction.projections.products import PRODUCTS, ProductDocument, beginnings
from services.interaction.queries import baskets as reading
from services.interaction.queries.baskets import Receipts, take_up
from services.interaction.queries.product_categories import CategoryBook
from services.interaction.queries.products import Products, Wanted
from services.interaction.queries.recommendations import (
    INDEXES,
    Partner,
    ProductPartners,
    Recommendations,
    raw_of,
)
from shared.clock import ManualClock
from shared.decider import NewEvent
from shared.events.interaction import ReceiptLine, ReceiptRecorded
from shared.events.product import ProductCategoryDefined
from shared.eventstore import EventStore
from shared.execute import Writer
from shared.keyring import Keyring, KeyStore
from shared.memory import MemoryDocuments, MemoryEventStore
from shared.mongo import MongoDocuments
from shared.mongo.events import COMMITS
from shared.readmodel import Documents, Questions
from shared.testing import DAY, MongoSpace
from shared.testing.collections import MemoryCommits, MemoryQuestions
from shared.testing.facts import tell

Room = tuple[Documents, Questions]
Indexes = Sequence[Sequence[tuple[str, int]]]


async def room(space: MongoSpace | None, name: str, indexes: Indexes) -> Room:
    """An empty collection, to write and to ask."""
    if space is None:
        documents = MemoryDocuments()
        return documents, MemoryQuestions(documents)
    real = MongoDocuments(space.database("customer"), name)
    await real.create_indexes(indexes)
    return real, real.collection


@pytest.fixture
def writer(store: EventStore, keys: KeyStore) -> Writer:
    """Writes to the store."""
    return Writer(store, Keyring(keys, AESGCM(bytes(32))), ManualClock(DAY), "interaction")


def product(
    name: str, title: str, category: str | None, *, archived: bool = False
) -> ProductDocument:
    titles = {"en": title}
    return ProductDocument(
        id=name,
        rev=1,
        sort=f"{int(archived)}{name}",
        titles=titles,
        names=beginnings(titles),
        category=category,
        archived=archived,
    )


async def test_products_are_found_by_category_and_by_words_of_their_titles(
    space: MongoSpace | None, writer: Writer
) -> None:
    documents, questions = await room(space, PRODUCTS.name, PRODUCTS.indexes)
    categories = CategoryBook(writer)
    products = Products(questions, categories)
    assert await products.of(["1"]) == {}
    tree = [("food", None), ("bakery", "food"), ("drinks", None)]
    await change_categories(
        categories,
        [
            AskedOfTree(
                name,
                "",
                DefineCategory(
                    ProductCategoryDefined(category=name, titles={"en": name}, parent=parent), DAY
                ),
            )
            for name, parent in tree
        ],
    )
    listed = [
        product("1", "Rye bread", "bakery"),
        product("2", "Zebra apple", "food"),
        product("3", "Breadsticks", "drinks"),
        product("4", "Old bread", "bakery", archived=True),
    ]
    await documents.write([msgspec.to_builtins(each) for each in listed])

    async def ids(wanted: Wanted, after: str | None = None, limit: int = 9) -> list[str]:
        return [each.id for each in await products.page(wanted, after, limit)]

    assert await ids(Wanted()) == ["1", "2", "3"]
    assert await ids(Wanted(), limit=1) == ["1", "2"]
    assert await ids(Wanted(), after="01") == ["2", "3"]
    assert await ids(Wanted(archived=True)) == ["4"]
    assert await ids(Wanted(category="food")) == ["1", "2"]
    assert await ids(Wanted(title="bread")) == ["1", "3"]
    # Its names are above "m" and below it, and none is both: no bounds of two names are mixed.
    assert await ids(Wanted(title="m")) == []
    assert await ids(Wanted(category="food", title="zebra a")) == ["2"]
    (found,) = (await Products(questions, categories).of(["1", "9"])).items()
    assert (found[0], found[1].path) == ("1", ("food", "bakery"))


async def test_products_that_were_found_longest_ago_are_named_until_they_lose_their_partners(
    space: MongoSpace | None,
) -> None:
    documents, questions = await room(space, "recommendations", INDEXES)
    known = Recommendations(questions)
    partner = Partner("b", 3, 2, 1.5, DAY)
    found = [
        ProductPartners(id=name, found_at=DAY + timedelta(days=day), partners=[partner])
        for name, day in (("a", 0), ("b", 1), ("c", 2))
    ]
    assert await documents.write([raw_of(each) for each in found]) == set()
    later = DAY + timedelta(days=2)
    assert [each.id for each in await known.older(later, 9)] == ["a", "b"]
    (oldest,) = await known.older(later, 1)
    assert oldest.partners == [partner]
    await documents.write([raw_of(ProductPartners(id="a", rev=oldest.rev))])
    assert [each.id for each in await known.older(later, 9)] == ["b"]
    assert set(await known.of("abc")) == {"b", "c"}


async def test_receipts_are_read_by_pages_of_the_commits(
    space: MongoSpace | None, store: EventStore, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE", 3)
    monkeypatch.setattr(reading, "READ_AT_ONCE", 2)
    commits: Questions
    if space is None:
        assert isinstance(store, MemoryEventStore)
        commits = MemoryCommits(store)
    else:
        commits = space.database("customer").collection(COMMITS)
    lines = tuple(ReceiptLine(product=name, quantity=Decimal(1), amount=1) for name in ("a", "b"))
    for number in range(14):
        name = ("interaction-{:02x}", "unknown-é{}", "product-{}")[number % 3]
        stream = name.format(number)
        receipt = ReceiptRecorded(
            fact=str(number), source="s", source_id="1", total=2, coupon_lines=0, lines=lines
        )
        await tell(writer, stream, stream, [NewEvent(receipt, DAY, "12")])
    pages = [list(page) async for page in Receipts(commits).pages()]
    # 5 of customers and 5 of the unknown; the other 4 are of no receipts' streams.
    assert sum(len(page) for page in pages) == 10
    # All the unknown are in one range, in pages of 3 and 2 names, of which 2 are read at once.
    assert [len(page) for page in pages if "unknown-" in page[0]] == [2, 1, 2]
    baskets = Baskets()
    for page in pages:
        take_up(baskets, page)
    counted = Counted.of(baskets, DAY, Measure(180.0))
    assert (counted.total, counted.counts.tolist()) == (10, [10, 10])
