"""A file of customers imported, and whether the last of them come as fast as the first.

Ours is the job itself, from the stored file to customers and the results of rows. Bare is the same
customers registered by the writer in chunks of the same size: no file, no look for who is known, no
results. `REGULARS_BENCH_CUSTOMERS` says how many (200,000 is what the product is held to; fewer is
the default, so that the rows fit among the others).
"""

import os
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.figures import Figure
from benchmarks.measuring import as_a_service
from benchmarks.place import Place
from benchmarks.rows.registrations import newcomer, register
from services.customer.domain.importing.columns import ColumnUse
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.imports import CustomerFiles, Reverting
from services.customer.handlers.imports.reading import CHUNK_ROWS, Source
from shared.access import Principal, Role
from shared.clock import SystemClock
from shared.execute import Writer
from shared.files import Files
from shared.identifiers import IdentifierRules
from shared.importing import Imports
from shared.jobs import Checkpoint, Jobs, RowResult
from shared.jobs.job import taken
from shared.keyring import Keyring
from shared.mongo import (
    Database,
    MongoDocuments,
    MongoEventStore,
    MongoFiles,
    MongoJobs,
    MongoKeyStore,
    connect,
)

CUSTOMERS = int(os.environ.get("REGULARS_BENCH_CUSTOMERS", "20000"))
BARE_CUSTOMERS = min(CUSTOMERS, 5_000)
SLOWER = 1.3
LEAST = 0.4
SECRET = b"benchmark-secret"
OWNER = Principal("key:bench", frozenset({Role.OWNER}))
HEADER = "phone,email,card,surname,name,birth_date,city,home_branch\n"
COLUMNS = HEADER.strip().split(",")
NAMES = ("Anna", "Boris", "Vera", "Gleb", "Daria", "Egor", "Zhanna", "Ivan", "Kira", "Lev")
CITIES = ("Moscow", "Kazan", "Perm", "Samara", "Ufa", "Tver", "Omsk", "Sochi")
DEADLINE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Moment:
    """Where an import stood, when, and how much of the processor this process had used."""

    position: int
    wall: float
    cpu: float

    @classmethod
    def now(cls, position: int) -> "Moment":
        """This moment."""
        return cls(position, time.monotonic(), time.process_time())


@dataclass(slots=True)
class Timed(Checkpoint):
    """A checkpoint that notes when each chunk was saved."""

    saved: list["Moment"] = field(default_factory=list)

    async def __call__(
        self,
        position: int,
        counts: Mapping[str, int] | None = None,
        results: Sequence[RowResult] = (),
        *,
        total: int | None = None,
    ) -> None:
        """Save, and note."""
        await Checkpoint.__call__(self, position, counts, results, total=total)
        self.saved.append(Moment.now(position))


async def file_of(customers: int) -> AsyncIterator[bytes]:
    """The file, the same each time."""
    chance = random.Random(7)
    yield HEADER.encode()
    for begin in range(0, customers, 1_000):
        rows = (
            f"+79{number:09d},customer{number}@example.com,C{number:08d},Surname{number % 9_973},"
            f"{chance.choice(NAMES)},{1940 + number % 65}-0{1 + number % 9}-1{number % 9},"
            f"{chance.choice(CITIES)},{number % 40}\n"
            for number in range(begin, min(begin + 1_000, customers))
        )
        yield "".join(rows).encode()


async def imported(database: Database, keys: Database) -> Sequence[Moment]:
    """When the job began, and when each of its chunks was saved."""
    clock = SystemClock()
    events, store, kept = (
        MongoEventStore(database, DEADLINE),
        MongoJobs(database),
        MongoFiles(database),
    )
    for each in (events, store, kept):
        await each.create_indexes()
    keyring = Keyring(MongoKeyStore(keys), AESGCM(bytes(32)))
    writer = Writer(events, keyring, clock, "customer", DEADLINE)
    files, jobs = Files(kept, AESGCM(bytes(32)), SECRET, clock), Jobs(store, clock)
    book, drafts = ConfigurationBook(writer), MongoDocuments(database, "imports")
    imports = Imports(drafts, files, jobs, clock, CustomerFiles(book))
    await imports.upload("bench", OWNER, file_of(CUSTOMERS), "c.csv", "text/csv")
    await imports.read_as("bench", OWNER, {name: ColumnUse(name) for name in COLUMNS})
    job = taken(await imports.start("bench", OWNER), 1, clock.system_now())
    if job is None or not await store.write(job):
        raise AssertionError
    rules = IdentifierRules(SECRET, "RU")
    kind = Reverting(Source(drafts, files, writer, book, rules, clock))
    checkpoint = Timed(store, job)
    as_a_service()
    begun = Moment.now(0)
    await kind.run(job, checkpoint)
    if checkpoint.job.counts != {"new": CUSTOMERS}:
        raise AssertionError(checkpoint.job.counts)
    return [begun, *checkpoint.saved]


async def bare_rate(database: Database, keys: Database) -> float:
    """Customers per second, registered by the writer alone."""
    events = MongoEventStore(database, DEADLINE)
    await events.create_indexes()
    keyring = Keyring(MongoKeyStore(keys), AESGCM(bytes(32)))
    writer = Writer(events, keyring, SystemClock(), "customer", DEADLINE)
    parts = [
        [newcomer(number) for number in range(begin, begin + CHUNK_ROWS)]
        for begin in range(0, BARE_CUSTOMERS, CHUNK_ROWS)
    ]
    begun = time.monotonic()
    for part in parts:
        await register(writer, part)
    return BARE_CUSTOMERS / (time.monotonic() - begun)


def spent(moments: Sequence[Moment], begin: float, end: float) -> tuple[float, float]:
    """Seconds of the clock and of this process between two shares of the customers."""

    def at(share: float) -> Moment:
        return min(moments, key=lambda each: abs(each.position - share * CUSTOMERS))

    return at(end).wall - at(begin).wall, at(end).cpu - at(begin).cpu


async def measure(place: Place) -> dict[str, Figure]:
    """Measure the rows."""
    client = connect(place.mongo_url)

    def database(name: str) -> Database:
        return Database(client, f"{place.prefix}imports-{name}")

    try:
        bare = await bare_rate(database("bare"), database("bare-keys"))
        moments = await imported(database("ours"), database("keys"))
    finally:
        client.close()
    rate = CUSTOMERS / spent(moments, 0, 1)[0]
    (first, first_cpu), (last, last_cpu) = spent(moments, 0, 0.1), spent(moments, 0.9, 1)
    return {
        "import_rate": Figure(
            value=rate,
            unit=f"customers per second, {CUSTOMERS:,} rows of CSV",
            bare=bare,
            goal=f"≥ {LEAST:g} × the writer alone",
            met=rate >= LEAST * bare,
            server=place.mongo_server,
            beside={"ratio": rate / bare},
        ),
        "import_growth": Figure(
            value=last,
            unit=f"s for the last tenth of {CUSTOMERS:,} customers",
            bare=first,
            goal=f"≤ {SLOWER:g} × the first tenth",
            met=last <= SLOWER * first,
            server=place.mongo_server,
            beside={
                "ratio": last / first,
                "client_cpu_ratio": last_cpu / first_cpu,
                "tenths": [
                    round(spent(moments, tenth / 10, (tenth + 1) / 10)[0], 2) for tenth in range(10)
                ],
            },
        ),
    }
