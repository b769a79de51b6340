"""Children that carry out imports of facts, with traps between the steps of the job."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import uvloop

from services.interaction.handlers.facts import Recorder
from services.interaction.handlers.importing import (
    DryRun,
    FactFiles,
    FactReading,
    Reverting,
    Source,
    reverting,
    running,
)
from services.interaction.handlers.lines import no_snapshots
from shared.clock import SystemClock
from shared.execute import Writer
from shared.files import Files
from shared.identifiers import IdentifierRules
from shared.importing import Imports, grouping
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
CHUNK_FACTS = 3
RUN_ROWS = 25
LEASE_SECONDS = 1.0


@dataclass(slots=True)
class Counter:
    """Imports of one place, and who carries them out."""

    imports: Imports[FactReading]
    jobs: Jobs
    store: MongoEventStore
    runner: JobRunner


async def nobody(_ids: Collection[str]) -> Mapping[str, str]:
    """Nobody is known by anything."""
    return {}


@asynccontextmanager
async def counter_of(place: Place, plan: Plan | None, owner: str) -> AsyncIterator[Counter]:
    """The imports of a place, with its traps set."""
    client = connect(place.mongo_url)
    try:
        yield await _counter(place, Database(client, f"{place.databases}interaction"), plan, owner)
    finally:
        client.close()


async def _counter(place: Place, database: Database, plan: Plan | None, owner: str) -> Counter:
    clock, trap = SystemClock(), Trap(plan)
    events, store, kept = (
        MongoEventStore(database, timedelta(seconds=20)),
        MongoJobs(database),
        MongoFiles(database),
    )
    for each in (events, store, kept):
        await each.create_indexes()
    keyring = Keyring(MongoKeyStore(Database(database.client, f"{place.databases}keyring")), MASTER)
    # The deadline of this machine's server, whatever else it is doing.
    caught = trapped(events, trap, append="append", append_together="void")
    writer = Writer(caught, keyring, clock, "interaction", timedelta(seconds=20))
    files = Files(trapped(kept, trap, complete="sort"), MASTER, SECRET, clock)
    jobs = Jobs(trapped(store, trap, write="save"), clock)
    drafts = MongoDocuments(database, "file_imports")
    rules = IdentifierRules(SECRET, "RU")
    recorder = Recorder(writer, nobody, no_snapshots)
    source = Source(drafts, files, recorder, rules, clock)
    runner = JobRunner(
        jobs.store,
        MongoLeases(database),
        clock,
        kinds_by_name([Reverting(source), DryRun(source)]),
        owner,
        lease_seconds=LEASE_SECONDS,
        poll_seconds=0.1,
    )
    return Counter(Imports(drafts, files, jobs, clock, FactFiles()), jobs, events, runner)


def run_jobs(place: Place, plan: Plan | None, owner: str, job: str) -> None:
    """Carry out what waits, until the job rests."""
    running.CHUNK_FACTS = CHUNK_FACTS  # type: ignore[attr-defined]  # imported there, set here only
    reverting.CHUNK_FACTS = CHUNK_FACTS
    grouping.RUN_ROWS = RUN_ROWS

    async def work() -> None:
        async with counter_of(place, plan, owner) as counter:
            working = asyncio.create_task(counter.runner.run())
            try:
                while not (found := await counter.jobs.store.get(job)) or not found.resting:
                    await asyncio.sleep(0.05)
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)

    uvloop.run(work())
