"""What a store of jobs must do: a job and its results move together, and nobody sets them back."""

from datetime import datetime, timedelta

import pytest

from shared.jobs import Flaw, Job, JobStore, RowResult
from shared.jobs.job import LARGEST_ROW, advanced, begun, completed, failed, taken, wished
from shared.memory import MemoryJobs
from shared.mongo import MongoJobs
from shared.testing import DAY, MongoSpace


@pytest.fixture
async def jobs(space: MongoSpace | None) -> JobStore:
    """No jobs yet."""
    if space is None:
        return MemoryJobs()
    store = MongoJobs(space.database("customer"))
    await store.create_indexes()
    return store


def job(name: str = "j1", by: str = "key:a", at: datetime = DAY, kind: str = "import") -> Job:
    return begun(job_id=name, kind=kind, by=by, at=at, params={"file": "f", "limit": 3}, total=10)


def result(row: int, outcome: str = "new") -> RowResult:
    return RowResult(row=row, outcome=outcome, id=f"c{row}", version=1)


async def test_a_job_comes_back_as_it_was_stored_and_is_stored_once(jobs: JobStore) -> None:
    assert await jobs.add(job())
    assert await jobs.get("j1") == job()
    assert not await jobs.add(job(by="key:b"))
    assert await jobs.get("j1") == job()
    assert await jobs.get("j2") is None


async def test_a_job_is_written_over_its_last_version_only(jobs: JobStore) -> None:
    await jobs.add(job())
    running = taken(job(), 1, DAY)
    assert running is not None
    assert await jobs.write(running)
    assert not await jobs.write(wished(job(), "stop", DAY))
    assert not await jobs.write(running)
    assert await jobs.get("j1") == running
    stopping = wished(running, "stop", DAY)
    assert await jobs.write(stopping)
    assert await jobs.get("j1") == stopping


async def test_a_chunk_is_saved_with_its_results_or_not_at_all(jobs: JobStore) -> None:
    await jobs.add(job())
    running = taken(job(), 1, DAY)
    assert running is not None
    await jobs.write(running)
    flawed = RowResult(row=3, outcome="error", flaws=(Flaw("no phone", "phone"),))
    first = advanced(running, 3, {"new": 2, "error": 1})
    assert await jobs.write(first, [result(1), result(2), flawed])
    # Somebody frozen saves the same chunk from where it stood before.
    assert not await jobs.write(first, [result(1, "late")])
    assert await jobs.results("j1", after=0, limit=10) == [result(1), result(2), flawed]
    stored = await jobs.get("j1")
    assert stored is not None
    assert (stored.position, stored.counts) == (3, {"new": 2, "error": 1})


async def test_a_result_takes_the_place_of_that_of_the_same_row(jobs: JobStore) -> None:
    await jobs.add(job())
    running = taken(job(), 1, DAY)
    assert running is not None
    await jobs.write(running)
    first = advanced(running, 1, {})
    await jobs.write(first, [result(1)])
    await jobs.write(advanced(first, 2, {}), [result(1, "changed"), result(2)])
    assert await jobs.results("j1", after=0, limit=9) == [result(1, "changed"), result(2)]


async def test_results_are_read_by_page_and_by_outcome(jobs: JobStore) -> None:
    await jobs.add(job())
    await jobs.add(job("j1x"))
    for name, outcomes in (("j1", "nenne"), ("j1x", "ee")):
        running = taken(job(name), 1, DAY)
        assert running is not None
        await jobs.write(running)
        rows = [result(row, outcome) for row, outcome in enumerate(outcomes, 1)]
        await jobs.write(advanced(running, len(rows), {}), rows)
    page = await jobs.results("j1", after=1, limit=2)
    assert [each.row for each in page] == [2, 3]
    wrong = await jobs.results("j1", after=0, limit=9, outcome="e")
    assert [each.row for each in wrong] == [2, 5]
    assert [each.row for each in await jobs.results("j1", after=2, limit=9, outcome="e")] == [5]
    last = await jobs.results_before("j1", before=LARGEST_ROW, limit=2)
    assert [each.row for each in last] == [5, 4]
    assert [each.row for each in await jobs.results_before("j1", before=3, limit=9)] == [2, 1]


async def test_results_begin_with_row_0_where_there_is_one(jobs: JobStore) -> None:
    await jobs.add(job())
    running = taken(job(), 1, DAY)
    assert running is not None
    await jobs.write(running)
    await jobs.write(advanced(running, 2, {}), [result(0), result(1)])
    for outcome in (None, "new"):
        found = await jobs.results("j1", after=-1, limit=9, outcome=outcome)
        assert [each.row for each in found] == [0, 1]
        # A page of one goes on behind row 0.
        found = await jobs.results("j1", after=0, limit=9, outcome=outcome)
        assert [each.row for each in found] == [1]
    assert await jobs.results_before("j1", before=0, limit=9) == []


async def test_those_that_want_a_runner_are_found_the_oldest_first(jobs: JobStore) -> None:
    later, other = DAY + timedelta(hours=1), job("other", kind="export")
    for each in (job("new", at=later), job("old"), job("run"), job("done"), job("bad"), other):
        await jobs.add(each)
    for name in ("run", "done", "bad"):
        running = taken(job(name, at=DAY + timedelta(hours=2)), 1, DAY)
        assert running is not None
        await jobs.write(running)
        if name == "done":
            await jobs.write(completed(running, DAY))
        if name == "bad":
            await jobs.write(failed(running, "no", DAY))
    found = await jobs.active({"import", "bulk"})
    assert [each.id for each in found] == ["old", "new", "run"]


async def test_jobs_are_listed_from_the_newest_by_who_began_them(jobs: JobStore) -> None:
    for name, by in (("1", "key:a"), ("2", "key:b"), ("3", "key:a"), ("4", "key:a")):
        await jobs.add(job(name, by=by, kind="export" if name == "4" else "import"))

    async def names(
        by: str | None, before: str | None = None, kinds: list[str] | None = None
    ) -> list[str]:
        found = await jobs.page(by=by, kinds=kinds, before=before, limit=2)
        return [each.id for each in found]

    assert await names(None) == ["4", "3"]
    assert await names(None, "3") == ["2", "1"]
    assert await names("key:a", "4") == ["3", "1"]
    assert await names("key:a", None, ["import"]) == ["3", "1"]
