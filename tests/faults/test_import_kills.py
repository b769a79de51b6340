"""An import killed at any step, and taken back by runners that are killed too: each row once."""

import asyncio
from collections.abc import AsyncIterator
from signal import SIGCONT, SIGSTOP

import pytest

from services.customer.domain.importing.columns import ColumnUse
from shared.access import Principal, Role
from shared.jobs import Job, RowResult
from shared.testing import MongoSpace, Servers, unique_prefix
from shared.testing.plans import require_short_locks
from tests.faults.children import Nursery
from tests.faults.importing import Office, office_of, run_jobs
from tests.faults.workers import Place, Plan, When

pytestmark = pytest.mark.faults

OWNER = Principal("key:owner", frozenset({Role.OWNER}))
ROWS = 40
STEPS: list[tuple[str, When]] = [
    ("append", "before"),
    ("append", "after"),
    ("save", "before"),
    ("save", "after"),
]
SECONDS = 60.0
LOCKED_SECONDS = 60.0
"""How long a server may keep what a dead process had locked in a transaction."""


@pytest.fixture
def place(servers: Servers) -> Place:
    """Databases of this test alone."""
    return Place(servers.kafka_url, servers.mongo_url, unique_prefix(), unique_prefix())


@pytest.fixture
async def office(place: Place) -> AsyncIterator[Office]:
    """The imports of the place, without traps."""
    async with office_of(place, None, "test") as found:
        yield found


def text(city: str) -> bytes:
    """Forty rows; the last four are of the first four again."""
    numbers = [*range(ROWS - 4), *range(4)]
    rows = "".join(f"+79160000{number:03},{city},c{number}\n" for number in numbers)
    return f"phone,city,card\n{rows}".encode()


async def begun(office: Office, name: str, city: str) -> None:
    """Upload a file and start its import."""

    async def content() -> AsyncIterator[bytes]:
        yield text(city)

    await office.imports.upload(name, OWNER, content(), "f.csv", "text/csv")
    columns = {each: ColumnUse(each) for each in ("phone", "city", "card")}
    await office.imports.read_as(name, OWNER, columns)
    await office.imports.start(name, OWNER)


async def ended(office: Office, name: str, seconds: float = SECONDS) -> tuple[Job, list[RowResult]]:
    """The job that rests, with the results of its rows."""
    async with asyncio.timeout(seconds):
        while not (job := await office.jobs.find(name, OWNER)).resting:
            await asyncio.sleep(0.1)
    return job, list(await office.jobs.store.results(name, after=0, limit=999))


async def commands(office: Office, prefix: str) -> list[str]:
    """The ids of all commands that begin so, one for each time that it was recorded."""
    streams = await office.store.names("customer-")
    histories = await office.store.read(streams)
    return sorted(
        mark.id
        for commits in histories.values()
        for commit in commits
        for mark in commit.commands
        if mark.id.startswith(prefix)
    )


async def test_an_import_killed_at_each_step_records_and_takes_back_each_row_once(
    place: Place, office: Office, children: Nursery
) -> None:
    await begun(office, "first", "Old")
    for number, (step, when) in enumerate(STEPS):
        # Saves are also those that take the job: the second is that of a chunk.
        plan = Plan(step, when, 2 if step == "save" else 1)
        child = children.start(run_jobs, place, plan, f"killed-{number}", "first")
        await child.ended(SECONDS)
        if not child.killed:
            break
    children.start(run_jobs, place, None, "last", "first")
    job, results = await ended(office, "first")
    assert (job.state, job.position) == ("done", ROWS)
    assert job.counts == {"new": ROWS - 4, "duplicate": 4}
    assert [each.outcome for each in results] == ["new"] * (ROWS - 4) + ["duplicate"] * 4
    # Rows 2 to 37: the header is row 1.
    expected = sorted(f"job|first|{row}" for row in range(2, ROWS - 2))
    assert await commands(office, "job|first|") == expected
    assert len(await office.store.names("customer-")) == ROWS - 4

    await office.imports.revert("first", OWNER)
    for number, (step, when) in enumerate(STEPS):
        plan = Plan(step, when, 2 if step == "save" else 1)
        child = children.start(run_jobs, place, plan, f"back-{number}", "first")
        await child.ended(SECONDS)
        if not child.killed:
            break
    children.start(run_jobs, place, None, "last-back", "first")
    job, results = await ended(office, "first")
    assert (job.state, job.counts["removed"]) == ("reverted", ROWS - 4)
    assert {each.undone for each in results if each.outcome == "new"} == {"removed"}
    undone = [name for name in await commands(office, "job|first|") if name.endswith("|undo")]
    assert len(undone) == len(set(undone)) == ROWS - 4


@pytest.mark.parametrize("step", ["append", "save"])
async def test_an_import_killed_within_a_transaction_goes_on_when_the_server_lets_go(
    place: Place, office: Office, children: Nursery, mongo: MongoSpace, step: str
) -> None:
    if step == "save":
        # What is locked is the job itself, which every runner has to take first.
        await require_short_locks(mongo.database("locks"))
    await begun(office, "first", "Old")
    child = children.start(run_jobs, place, Plan(step, "during", 3), "killed", "first")
    await child.ended(SECONDS)
    children.start(run_jobs, place, None, "last", "first")
    job, _ = await ended(office, "first", SECONDS + LOCKED_SECONDS)
    assert (job.state, job.counts) == ("done", {"new": ROWS - 4, "duplicate": 4})
    recorded = await commands(office, "job|first|")
    assert len(recorded) == len(set(recorded)) == ROWS - 4


async def test_a_runner_that_was_frozen_sets_nothing_back(
    place: Place, office: Office, children: Nursery
) -> None:
    await begun(office, "first", "Old")
    frozen = children.start(run_jobs, place, Plan("save", "before", 3, SIGSTOP), "frozen", "first")
    await frozen.stopped(SECONDS)
    children.start(run_jobs, place, None, "other", "first")
    job, results = await ended(office, "first")
    recorded = await commands(office, "job|")
    frozen.send(SIGCONT)
    assert await frozen.ended(SECONDS) == 0, frozen.tail()
    assert await ended(office, "first") == (job, results)
    assert (job.state, job.counts) == ("done", {"new": ROWS - 4, "duplicate": 4})
    assert await commands(office, "job|") == recorded
