"""Children that carry out imports, with traps between the steps of the job."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import uvloop

from services.customer.domain.importing.columns import FileReading
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.imports import CustomerFiles, DryRun, Reverting, reverting, running
from services.customer.handlers.imports.reading import Source
from shared.clock import SystemClock
from shared.execute import Writer
from shared.files import Files
from shared.identifiers import IdentifierRules
from shared.importing import Imports
from shared.jobs import JobRunner, Jobs, kinds_by_name
from shared.keyring import Keyring
from shared.mongo import (
    Database,
    MongoDocuments,
    MongoEventStore,
    MongoFiles,
    MongoJobs,
    MongoKeyStore,
    MongoLeases,
    connect,
)
from tests.faults.workers import MASTER, Place, Plan, Trap, trapped

SECRET = bytes(32)
CHUNK_ROWS = 7
LEASE_SECONDS = 1.0


@dataclass(slots=True)
class Office:
    """Imports of one place, and who carries them out."""

    imports: Imports[FileReading]
    jobs: Jobs
    store: MongoEventStore
    runner: JobRunner


@asynccontextmanager
async def office_of(place: Place, plan: Plan | None, owner: str) -> AsyncIterator[Office]:
    """The office of a place, with its traps set."""
    client = connect(place.mongo_url)
    try:
        yield await _office(place, Database(client, f"{place.databases}customer"), plan, owner)
    finally:
        client.close()


async def _office(place: Place, database: Database, plan: Plan | None, owner: str) -> Office:
    clock, trap = SystemClock(), Trap(plan)
    events = MongoEventStore(database, timedelta(seconds=20))
    await events.create_indexes()
    store = MongoJobs(database)
    await store.create_indexes()
    files = MongoFiles(database)
    await files.create_indexes()
    keyring = Keyring(MongoKeyStore(Database(database.client, f"{place.databases}keyring")), MASTER)
    # The deadline of this machine's server, whatever else it is doing.
    writer = Writer(
        trapped(events, trap, append="append"), keyring, clock, "customer", timedelta(seconds=20)
    )
    kept = Files(files, MASTER, SECRET, clock)
    jobs = Jobs(trapped(store, trap, write="save"), clock)
    book, drafts = ConfigurationBook(writer), MongoDocuments(database, "imports")
    rules = IdentifierRules(SECRET, "RU")
    source = Source(drafts, kept, writer, book, rules, clock)
    runner = JobRunner(
        jobs.store,
        MongoLeases(database),
        clock,
        kinds_by_name([Reverting(source), DryRun(source)]),
        owner,
        lease_seconds=LEASE_SECONDS,
        poll_seconds=0.1,
    )
    return Office(Imports(drafts, kept, jobs, clock, CustomerFiles(book)), jobs, events, runner)


def run_jobs(place: Place, plan: Plan | None, owner: str, job: str) -> None:
    """Carry out what waits, until the job rests."""
    running.CHUNK_ROWS = CHUNK_ROWS  # type: ignore[attr-defined]  # imported there, set here only
    reverting.CHUNK_ROWS = CHUNK_ROWS

    async def work() -> None:
        async with office_of(place, plan, owner) as office:
            working = asyncio.create_task(office.runner.run())
            try:
                while not (found := await office.jobs.store.get(job)) or not found.resting:
                    await asyncio.sleep(0.05)
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)

    uvloop.run(work())
