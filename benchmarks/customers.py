"""Customers of a made-up chain, as many as are wanted, the same each time, as a list has them.

They go through the list's own derivation of keys, and past its fold: what is measured with them is
reading, or the writing of documents that are there.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from services.customer.projections.directory import DIRECTORY, Contact, DirectoryEntry, Grant
from services.customer.projections.directory.entry import BranchTotals
from services.customer.projections.directory.keys import refresh
from shared.ids import derived_id
from shared.mongo import MongoDocuments
from shared.projector.folder import raw_document
from shared.readmodel import RawDocument

SEED = 20
BATCH = 1_000
BRANCHES = 40
ROOTS = (
    "ivan", "petr", "sidor", "abram", "smirn", "kuznets", "pop", "vasil", "novik", "moroz",
    "volk", "aleks", "lebed", "semen", "egor", "pavl", "kozl", "stepan", "nikol", "orl",
    "zakhar", "zaits", "solov", "boris", "yakovl", "grigor", "roman", "vorob", "sergeev", "frol",
)  # fmt: skip
ENDINGS = ("ov", "ova", "enko", "sky", "skaya", "uk", "ich", "yan", "idze", "in", "ina", "ko")
NAMES = (
    "anna", "boris", "clara", "dmitri", "elena", "fedor", "galina", "igor", "maria", "nina",
    "oleg", "pavel", "roman", "sergei", "tatiana", "yuri", "viktor", "vera", "anton", "zoya",
)  # fmt: skip
BEGINNING = datetime(2015, 1, 1, tzinfo=UTC)


def entries(count: int) -> Iterator[DirectoryEntry]:
    """The customers of the list."""
    chance = random.Random(SEED)
    for number in range(count):
        entry = _entry(chance, number)
        refresh(entry)
        yield entry


def _entry(chance: random.Random, number: int) -> DirectoryEntry:
    visits = int(chance.expovariate(1 / 12))
    spent = sum(int(chance.expovariate(1 / 150_000)) for _ in range(visits))
    branch = str(int(chance.random() ** 2 * BRANCHES))
    name, surname = chance.choice(NAMES), chance.choice(ROOTS) + chance.choice(ENDINGS)
    first = BEGINNING + timedelta(hours=chance.randrange(80_000))
    last = first + timedelta(hours=chance.randrange(10_000))
    phone = f"+79{chance.randrange(10**9):09d}"
    entry = DirectoryEntry(
        id=derived_id("benchmark", str(number)),
        versions={f"customer-{number}": 1 + visits},
        registered_at=first,
        contacts=[
            Contact("phone", f"{number:064d}", phone),
            Contact("email", f"{number:064x}", f"{name}.{surname}{number}@example.com"),
            Contact("card", f"{number:064o}", f"A{chance.randrange(10**8):08d}"),
        ],
        surname=surname.capitalize(),
        name=name.capitalize(),
        patronymic=chance.choice(NAMES).capitalize() + "ovich",
        birth_date=f"{chance.randrange(1940, 2010)}-{chance.randrange(1, 13):02d}-15",
        home_branch=branch,
        city=f"City {chance.randrange(60)}",
        status=chance.choice(("new", "potential", "active", "active", "lapsed")),
        responsible=f"employee-{chance.randrange(200)}",
        tags=sorted({f"tag{int(chance.expovariate(0.3))}" for _ in range(2)}),
        categories=[Grant("gold", "rule:gold")] if chance.random() < 1 / 20 else [],
        segments=sorted({f"segment{int(chance.expovariate(0.5))}" for _ in range(3)}),
        custom={"pets": chance.randrange(4)},
        visits=visits,
        spent=spent,
        first_visit=first if visits else None,
        last_visit=last if visits else None,
    )
    if visits:
        entry.at_branches = [BranchTotals(branch, visits, spent, first, last)]
    return entry


async def fill(documents: MongoDocuments, count: int) -> list[RawDocument]:
    """Write the list with its indexes; gives the last documents that were written."""
    await documents.create_indexes(DIRECTORY.indexes)
    batch: list[RawDocument] = []
    for entry in entries(count):
        if len(batch) == BATCH:
            await documents.write(batch)
            batch = []
        batch.append(raw_document(entry))
    await documents.write(batch)
    return batch
