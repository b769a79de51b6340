"""Looking customers up in a list of many: a quick search, and a page that is filtered and sorted.

Ours is the whole question as the API asks it, sample included. Bare is the driver's own `find` on
the same index, for the same first entries by one range that is known to hold them: what nobody can
do without knowing where they are. The list is written past the fold, through its own port.
`REGULARS_BENCH_CUSTOMERS` says how many there are.
"""

import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from benchmarks.bare import BareDatabase, bare_database
from benchmarks.customers import NAMES, entries, fill
from benchmarks.figures import Figure
from benchmarks.measuring import as_a_service
from benchmarks.place import Place
from services.customer.domain.filters import Filter, Sorting
from services.customer.projections.directory import DIRECTORY, DirectoryEntry
from services.customer.queries.directory import Directory, Listing
from services.customer.queries.quick import QuickSearch
from shared.access import Kind, Scope
from shared.identifiers import IdentifierRules
from shared.mongo import Database, MongoDocuments, connect

CUSTOMERS = 5_000
SETTING = "REGULARS_BENCH_CUSTOMERS"
SEARCHES, PAGES = 100, 60
SEARCH_MS, PAGE_MS = 50.0, 100.0
FOUND, SHOWN = 20, 50
SEED = 11
CHAIN = Scope(Kind.CUSTOMER, None)


async def times_of(asked: Sequence[Callable[[], Awaitable[object]]]) -> list[float]:
    """Milliseconds of each question, asked one after the other, shortest first."""
    found = []
    for ask in asked:
        begun = time.perf_counter()
        await ask()
        found.append((time.perf_counter() - begun) * 1_000)
    return sorted(found)


def texts_of(people: Sequence[DirectoryEntry], chance: random.Random) -> list[str]:
    """What is typed at a till: parts of names, ends of phones, e-mails, cards, whole ones."""
    texts = []
    for person in people:
        surname, name = person.surname or "", person.name or ""
        phone, email, card = (each.value or "" for each in person.contacts)
        texts.append(
            chance.choice(
                (surname[:3], surname, f"{name[:3]} {surname[:4]}", phone[-4:], phone[-7:],
                 email[:12], card, phone)
            )
        )  # fmt: skip
    return texts


def listings(chance: random.Random) -> list[Listing]:
    """Filtered pages in the order of some column."""
    conditions = [
        {"kind": "tag", "any_of": ["tag1"]},
        {"kind": "status", "any_of": ["active"]},
        {"kind": "segment", "any_of": ["segment0", "segment1"]},
        {"kind": "number", "column": "spent", "at_least": 1_000_000},
        {"kind": "date", "column": "last_visit", "since": "2018-01-01", "until": "2019-12-31"},
        {"kind": "branch", "any_of": ["3"]},
    ]
    columns = ("name", "spent", "visits", "last_visit", "average")
    return [
        Listing(
            Filter.model_validate({"where": chance.sample(conditions, chance.randrange(1, 3))}),
            Sorting(column=chance.choice(columns), descending=chance.random() < 1 / 2),
            CHAIN,
        )
        for _ in range(PAGES)
    ]


def bare_search(database: BareDatabase, person: DirectoryEntry) -> Callable[[], Awaitable[object]]:
    """The entries from one surname on to its end, by one range."""
    key = person.slots["n0"]
    span = {"$gte": key, "$lt": key[: key.index("|")] + "|\U0010ffff"}
    return lambda: database[DIRECTORY.name].find({"slots.n0": span}).limit(FOUND).to_list(None)


def bare_page(
    database: BareDatabase, keys: Sequence[str], begin: int
) -> Callable[[], Awaitable[object]]:
    """A page of names between two keys that are known to hold one."""
    span = {"$gte": keys[begin], "$lt": keys[begin + SHOWN]}
    found = database[DIRECTORY.name].find({"sort.name": span}).sort("sort.name", 1)
    return lambda: found.limit(SHOWN).to_list(None)


async def measure(place: Place) -> dict[str, Figure]:
    """Measure the rows."""
    count = int(os.environ.get(SETTING, CUSTOMERS))
    name = f"{place.prefix}listing"
    client = connect(place.mongo_url)
    bare = bare_database(place.mongo_url, name)
    try:
        documents = MongoDocuments(Database(client, name), DIRECTORY.name)
        await fill(documents, count)
        return await _measured(place, Directory(documents.collection), bare, count)
    finally:
        client.close()
        bare.client.close()


async def _measured(
    place: Place, directory: Directory, bare: BareDatabase, count: int
) -> dict[str, Figure]:
    chance = random.Random(SEED)
    everybody = list(entries(count))
    people = chance.sample(everybody, SEARCHES)
    keys = sorted(entry.sort["name"] for entry in everybody)
    search = QuickSearch(directory, IdentifierRules(bytes(32), "RU"))
    await directory.sampler.sample()
    as_a_service()
    searches = await times_of(
        [
            partial(search.find, text, CHAIN, FOUND)
            for text in (*texts_of(people, chance), *(each[:2] for each in NAMES))
        ]
    )
    pages = await times_of(
        [partial(directory.page, CHAIN, None, SHOWN, each) for each in listings(chance)]
    )
    bare_searches = await times_of([bare_search(bare, person) for person in people])
    begins = [chance.randrange(count - SHOWN) for _ in range(PAGES)]
    bare_pages = await times_of([bare_page(bare, keys, begin) for begin in begins])
    return {
        "search": _figure(place, searches, bare_searches, SEARCH_MS, count),
        "page": _figure(place, pages, bare_pages, PAGE_MS, count),
    }


def _figure(
    place: Place, ours: Sequence[float], bare: Sequence[float], goal: float, count: int
) -> Figure:
    p95 = ours[int(len(ours) * 0.95)]
    return Figure(
        value=p95,
        unit="ms, the 95th of 100",
        bare=bare[int(len(bare) * 0.95)],
        goal=f"≤ {goal:g} ms with 200,000 customers on the fast server",
        met=p95 <= goal,
        server=place.mongo_server,
        beside={
            "customers": count,
            "p50": ours[len(ours) // 2],
            "slowest": ours[-1],
            "bare_p50": bare[len(bare) // 2],
        },
    )
