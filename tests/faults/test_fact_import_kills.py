"""An import of receipts killed at any step, and taken back by runners that are killed too."""

import asyncio
from collections import Counter as Counts
from collections.abc import AsyncIterator

import msgspec
import pytest

from shared.access import Principal, Role
from shared.envelope import Envelope, decode
from shared.jobs import Job, RowResult
from shared.testing import Servers, unique_prefix
from tests.faults.children import Nursery
from tests.faults.fact_importing import Counter, counter_of, run_jobs
from tests.faults.workers import Place, Plan

pytestmark = pytest.mark.faults

OWNER = Principal("key:owner", frozenset({Role.OWNER}))
RECEIPTS, LINES = 20, 4
COLUMNS = ("source_id", "branch", "time", "product", "quantity", "amount")
KILLS = (
    # Of the files, the third is the second that is sorted: the first is the upload's own.
    Plan("sort", "after", 2),
    Plan("append", "after", 1),
    Plan("append", "before", 2),
    Plan("append", "after", 2),
    # The first save takes the job, the second is that of a chunk.
    Plan("save", "before", 2),
    Plan("save", "after", 2),
)
BACK = (Plan("void", "after", 2), Plan("save", "before", 2), Plan("save", "after", 2))
SECONDS = 60.0


@pytest.fixture
def place(servers: Servers) -> Place:
    """Databases of this test alone."""
    return Place(servers.kafka_url, servers.mongo_url, unique_prefix(), unique_prefix())


@pytest.fixture
async def counter(place: Place) -> AsyncIterator[Counter]:
    """The imports of the place, without traps."""
    async with counter_of(place, None, "test") as found:
        yield found


async def begun(counter: Counter, name: str) -> None:
    """Upload a file whose receipts are all apart, and start its import."""

    async def content() -> AsyncIterator[bytes]:
        yield (",".join(COLUMNS) + "\n").encode()
        for line in range(LINES):
            for receipt in range(RECEIPTS):
                yield f"r{receipt},12,2017-12-01,p{line},1,{receipt}.0{line}\n".encode()

    await counter.imports.upload(name, OWNER, content(), "f.csv", "text/csv", "receipts")
    await counter.imports.read_as(name, OWNER, {each: each for each in COLUMNS})
    await counter.imports.start(name, OWNER)


async def ended(counter: Counter, name: str) -> tuple[Job, list[RowResult]]:
    """The job that rests, with its results."""
    async with asyncio.timeout(SECONDS):
        while not (job := await counter.jobs.find(name, OWNER)).resting:
            await asyncio.sleep(0.1)
    return job, list(await counter.jobs.store.results(name, after=0, limit=999))


async def events(counter: Counter) -> list[Envelope]:
    """Everything that was recorded, stream by stream."""
    names = [*await counter.store.names("unknown-"), *await counter.store.names("import-")]
    found = await counter.store.read(names)
    return [
        decode(text) for commits in found.values() for commit in commits for text in commit.events
    ]


async def test_an_import_killed_at_each_step_records_and_voids_each_receipt_once(
    place: Place, counter: Counter, children: Nursery
) -> None:
    await begun(counter, "first")
    for number, plan in enumerate(KILLS):
        child = children.start(run_jobs, place, plan, f"killed-{number}", "first")
        await child.ended(SECONDS)
        assert child.killed, plan
    children.start(run_jobs, place, None, "last", "first")
    job, results = await ended(counter, "first")
    assert (job.state, job.position, job.counts) == (
        "done", RECEIPTS * LINES, {"new": RECEIPTS},
    )  # fmt: skip
    assert [each.row for each in results] == list(range(2, RECEIPTS + 2))
    recorded = await events(counter)
    kinds = Counts(each.type for each in recorded)
    assert kinds == {
        "interaction.receipt_recorded.v1": RECEIPTS,
        "import.begun.v1": 1,
        "import.ended.v1": 1,
    }
    # Receipt n has lines of n.00 to n.03: 4 · 100n + 6 cents.
    totals = sorted(msgspec.json.decode(each.data).get("total", -1) for each in recorded)
    assert totals[2:] == [400 * receipt + 6 for receipt in range(RECEIPTS)]
    assert {each.history for each in recorded if each.type.startswith("inter")} == {"first"}

    await counter.imports.revert("first", OWNER)
    for number, plan in enumerate(BACK):
        child = children.start(run_jobs, place, plan, f"back-{number}", "first")
        await child.ended(SECONDS)
        assert child.killed, plan
    children.start(run_jobs, place, None, "last-back", "first")
    job, results = await ended(counter, "first")
    assert (job.state, job.counts) == ("reverted", {"new": RECEIPTS, "voided": RECEIPTS})
    assert {each.undone for each in results} == {"voided"}
    kinds = Counts(each.type for each in await events(counter))
    assert kinds["interaction.receipt_voided.v1"] == RECEIPTS
