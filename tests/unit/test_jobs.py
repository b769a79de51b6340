"""Jobs: what may become of them, who runs them, and who may look."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from shared.access import Principal, Role
from shared.clock import ManualClock
from shared.decider import Refused
from shared.eventstore import StoreUnavailable
from shared.jobs import (
    Checkpoint,
    Job,
    JobRunner,
    Jobs,
    RowResult,
    Superseded,
    kinds_by_name,
    row_command,
)
from shared.jobs.job import advanced, begun, completed, failed, resumed, reverted, taken, wished
from shared.jobs.progress import Speed, Speedometer
from shared.memory import MemoryJobs, MemoryLeases
from shared.testing import DAY

Work = Callable[[Job, Checkpoint], Awaitable[None]]
OWNER = Principal("key:owner", frozenset({Role.OWNER}))
ANNA = Principal("key:anna", frozenset({Role.SERVICE}), frozenset({"12"}))
BORIS = Principal("key:boris", frozenset({Role.SERVICE}), frozenset({"12"}))
READER = Principal("key:reader", frozenset({Role.READER}))


def waiting(total: int = 9) -> Job:
    return begun(job_id="j", kind="count", by=ANNA.id, at=DAY, params={}, total=total)


def running(fence: int = 1) -> Job:
    job = taken(waiting(), fence, DAY)
    assert job is not None
    return job


@dataclass
class Counting:
    """Counts rows in threes; fails, waits or is taken over where a test says so."""

    before_chunk: Work | None = None
    done: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)
    name: str = "count"

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        await self._count(self.done, job.position, job.total or 0, checkpoint)

    async def revert(self, job: Job, checkpoint: Checkpoint) -> None:
        await self._count(self.undone, job.position, job.reached, checkpoint)

    async def _count(self, into: list[int], begin: int, end: int, checkpoint: Checkpoint) -> None:
        for first in range(begin, end, 3):
            if self.before_chunk is not None:
                await self.before_chunk(checkpoint.job, checkpoint)
            rows = list(range(first + 1, min(first + 3, end) + 1))
            into += rows
            results = [RowResult(row=row, outcome="counted") for row in rows]
            await checkpoint(rows[-1], {"counted": len(rows)}, results)


@dataclass
class World:
    """A store of jobs, and workers that look for them."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(DAY))
    store: MemoryJobs = field(default_factory=MemoryJobs)
    leases: MemoryLeases = field(init=False)
    jobs: Jobs = field(init=False)

    def __post_init__(self) -> None:
        self.leases = MemoryLeases(self.clock)
        self.jobs = Jobs(self.store, self.clock)

    def worker(self, kind: Counting, owner: str = "a", at_once: int = 4) -> JobRunner:
        return JobRunner(
            self.store, self.leases, self.clock, kinds_by_name([kind]), owner, at_once=at_once
        )

    async def begin(self, name: str = "j", total: int = 9) -> Job:
        return await self.jobs.begin("count", ANNA.id, {}, job_id=name, total=total)

    async def job(self, name: str = "j") -> Job:
        return await self.jobs.find(name, OWNER)


async def finish(worker: JobRunner) -> None:
    await worker.look()
    await worker.settle()


@pytest.fixture
def world() -> World:
    return World()


async def test_a_job_is_done_chunk_by_chunk_and_its_rows_are_remembered(world: World) -> None:
    kind = Counting()
    await world.begin(total=7)
    await finish(world.worker(kind))
    job = await world.job()
    # Chunks of 3, 3 and 1.
    assert (job.state, job.position, job.counts) == ("done", 7, {"counted": 7})
    assert kind.done == [1, 2, 3, 4, 5, 6, 7]
    assert len(await world.store.results("j", after=0, limit=99)) == 7
    await finish(world.worker(kind))
    assert kind.done == [1, 2, 3, 4, 5, 6, 7]


async def test_a_killed_job_goes_on_after_its_last_saved_chunk(world: World) -> None:
    async def die(job: Job, _checkpoint: Checkpoint) -> None:
        if job.position == 6:
            raise StoreUnavailable

    kind = Counting(die)
    await world.begin()
    await finish(world.worker(kind))
    assert ((await world.job()).state, kind.done) == ("running", [1, 2, 3, 4, 5, 6])
    kind.before_chunk = None
    await finish(world.worker(kind, "b"))
    assert ((await world.job()).state, kind.done) == ("done", [1, 2, 3, 4, 5, 6, 7, 8, 9])


async def test_a_frozen_runner_saves_nothing_after_another_has_taken_the_job(world: World) -> None:
    await world.begin()
    frozen = taken(await world.job(), 1, DAY)
    assert frozen is not None
    await world.store.write(frozen)
    checkpoint = Checkpoint(world.store, frozen)
    await checkpoint(3, {"counted": 3})
    other = taken(await world.job(), 2, DAY)
    assert other is not None
    await world.store.write(other)
    with pytest.raises(Superseded):
        await checkpoint(6, {"counted": 3}, [RowResult(row=4, outcome="late")])
    job = await world.job()
    assert (job.position, job.counts, job.fence) == (3, {"counted": 3}, 2)
    assert await world.store.results("j", after=0, limit=9) == []


async def test_a_runner_that_loses_its_lease_stops_working(world: World) -> None:
    async def linger(_job: Job, _checkpoint: Checkpoint) -> None:
        world.clock.moment += (world.clock.moment - DAY) + (DAY - DAY.replace(hour=0))
        await world.leases.acquire("job|j", "b", 60)
        await asyncio.sleep(60)

    worker = world.worker(Counting(linger))
    worker.lease_seconds = 0.05
    await world.begin()
    async with asyncio.timeout(5):
        await finish(worker)
    assert (await world.job()).position == 0


@pytest.mark.parametrize(("wish", "state"), [("stop", "stopped"), ("pause", "paused")])
async def test_a_wish_is_followed_after_the_chunk_in_hand(
    world: World, wish: str, state: str
) -> None:
    async def ask(job: Job, _checkpoint: Checkpoint) -> None:
        if job.position == 3:
            await getattr(world.jobs, wish)("j", ANNA)

    kind = Counting(ask)
    await world.begin()
    await finish(world.worker(kind))
    job = await world.job()
    assert (job.state, job.position, job.counts) == (state, 6, {"counted": 6})
    kind.before_chunk = None
    await world.jobs.resume("j", ANNA)
    await finish(world.worker(kind, "b"))
    assert ((await world.job()).state, kind.done) == ("done", list(range(1, 10)))


async def test_a_kind_that_refuses_fails_its_job_and_says_why(world: World) -> None:
    async def refuse(job: Job, _checkpoint: Checkpoint) -> None:
        if job.position == 3:
            raise Refused("gone", 409, "The file is gone.")

    await world.begin()
    await finish(world.worker(Counting(refuse)))
    job = await world.job()
    assert (job.state, job.problem, job.position) == ("failed", "The file is gone.", 3)


async def test_a_fault_of_a_kind_fails_its_job_and_tells_nothing_of_the_data(world: World) -> None:
    async def break_down(_job: Job, _checkpoint: Checkpoint) -> None:
        raise ValueError("anna@example.com")

    await world.begin()
    await finish(world.worker(Counting(break_down)))
    job = await world.job()
    assert job.state == "failed"
    assert "anna" not in (job.problem or "")


async def test_a_job_is_taken_back_as_far_as_it_got(world: World) -> None:
    async def refuse(job: Job, _checkpoint: Checkpoint) -> None:
        if job.position == 6:
            raise Refused("gone", 409, "The file is gone.")

    kind = Counting(refuse)
    await world.begin()
    await finish(world.worker(kind))
    kind.before_chunk = None
    await world.jobs.revert("j", ANNA)
    await finish(world.worker(kind, "b"))
    job = await world.job()
    assert (job.state, job.position, job.total, kind.undone) == (
        "reverted", 6, 6, [1, 2, 3, 4, 5, 6],
    )  # fmt: skip
    with pytest.raises(Refused, match="job-state"):
        await world.jobs.revert("j", ANNA)


async def test_a_worker_runs_no_more_jobs_at_once_than_it_may(world: World) -> None:
    gate = asyncio.Event()
    begun_jobs: list[str] = []

    async def wait(job: Job, _checkpoint: Checkpoint) -> None:
        begun_jobs.append(job.id)
        await gate.wait()

    for name in ("1", "2", "3"):
        await world.begin(name, total=1)
    worker = world.worker(Counting(wait), at_once=2)
    await worker.look()
    await asyncio.sleep(0.01)
    other = world.worker(Counting(wait), "b", at_once=2)
    await other.look()
    await asyncio.sleep(0.01)
    assert begun_jobs == ["1", "2", "3"]
    gate.set()
    await worker.settle()
    await other.settle()
    assert [(await world.job(name)).state for name in ("1", "2", "3")] == ["done"] * 3


async def test_a_cancelled_worker_lets_its_jobs_go_to_others_at_once(world: World) -> None:
    async def wait(_job: Job, _checkpoint: Checkpoint) -> None:
        await asyncio.sleep(60)

    await world.begin()
    working = asyncio.create_task(world.worker(Counting(wait)).run())
    await asyncio.sleep(0.05)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    kind = Counting()
    world.clock.moment = DAY.replace(second=1)
    await finish(world.worker(kind, "b"))
    assert (await world.job()).state == "done"


async def test_a_job_is_seen_by_whoever_began_it_and_by_the_whole_chain(world: World) -> None:
    await world.begin()
    for calling in (ANNA, OWNER, READER):
        assert (await world.jobs.find("j", calling)).id == "j"
        assert [each.id for each in await world.jobs.page(calling, None, None, 9)] == ["j"]
    assert await world.jobs.page(BORIS, None, None, 9) == []
    with pytest.raises(Refused, match="not-found"):
        await world.jobs.find("j", BORIS)
    with pytest.raises(Refused, match="forbidden"):
        await world.jobs.stop("j", READER)
    assert (await world.jobs.stop("j", OWNER)).state == "stopped"


async def test_a_job_begun_twice_under_one_id_is_one(world: World) -> None:
    first = await world.begin()
    assert await world.begin() == first
    with pytest.raises(Refused, match="job-differs"):
        await world.jobs.begin("count", BORIS.id, {}, job_id="j")


async def test_an_id_that_was_used_for_something_else_is_refused(world: World) -> None:
    first = await world.jobs.begin("count", ANNA.id, {"at": 1}, job_id="j", asked=["x"])
    # When it was asked belongs to the job, and not to what was asked.
    assert await world.jobs.begin("count", ANNA.id, {"at": 2}, job_id="j", asked=["x"]) == first
    with pytest.raises(Refused, match="command-differs") as refused:
        await world.jobs.begin("count", ANNA.id, {"at": 1}, job_id="j", asked=["y"])
    assert refused.value.status == 422


def test_wishes_meet_jobs_in_every_state() -> None:
    assert wished(waiting(), "stop", DAY).state == "stopped"
    assert wished(waiting(), "pause", DAY).state == "paused"
    paused = wished(waiting(), "pause", DAY)
    assert wished(paused, "stop", DAY).state == "stopped"
    assert (wished(running(), "stop", DAY).state, wished(running(), "stop", DAY).wish) == (
        "running", "stop",
    )  # fmt: skip
    done = completed(running(), DAY)
    with pytest.raises(Refused, match="job-state"):
        wished(done, "stop", DAY)
    with pytest.raises(Refused, match="job-state"):
        wished(paused, "pause", DAY)


@pytest.mark.parametrize("job", [running(), waiting()])
def test_a_job_that_has_not_ended_is_neither_resumed_nor_taken_back(job: Job) -> None:
    with pytest.raises(Refused, match="job-state"):
        resumed(job)
    with pytest.raises(Refused, match="job-state"):
        reverted(job)


def test_a_job_that_is_done_does_not_go_on() -> None:
    with pytest.raises(Refused, match="job-state"):
        resumed(completed(running(), DAY))


def test_a_revert_that_failed_goes_on_as_a_revert() -> None:
    going = taken(reverted(completed(advanced(running(), 5, {}), DAY)), 2, DAY)
    assert going is not None
    assert (going.state, going.reached, going.position) == ("reverting", 5, 0)
    again = resumed(failed(going, "no", DAY))
    assert (again.state, again.undoing, again.problem) == ("reverting", True, None)


def test_a_job_is_not_taken_with_an_older_fence_nor_when_it_rests() -> None:
    assert taken(running(fence=3), 3, DAY) is None
    assert taken(running(fence=3), 4, DAY) is not None
    assert taken(completed(running(), DAY), 9, DAY) is None


def test_a_job_counts_a_bounded_number_of_things() -> None:
    with pytest.raises(ValueError, match="more than 50"):
        advanced(running(), 1, {f"o{n}": 1 for n in range(51)})


def test_two_kinds_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="one name"):
        kinds_by_name([Counting(), Counting()])


def test_the_command_of_a_row_names_the_job_and_the_row() -> None:
    assert row_command("j", 7) == "job|j|7"


def test_the_speed_is_that_of_the_last_seconds() -> None:
    meter = Speedometer()
    assert meter.read(waiting(1000), 0.0) == Speed()
    job = taken(waiting(1000), 1, DAY)
    assert job is not None
    assert meter.read(job, 0.0) == Speed()
    # 100 rows in a second; 900 are left.
    assert meter.read(advanced(job, 100, {}), 1.0) == Speed(100.0, 9.0)
    # It stands still: after the window nothing is left of the first second.
    stuck = advanced(job, 100, {})
    read = [meter.read(stuck, float(second)) for second in range(2, 9)]
    assert read[-1] == Speed(0.0, None)
    undoing = taken(reverted(completed(running(), DAY)), 2, DAY)
    assert undoing is not None
    assert meter.read(undoing, 9.0) == Speed()
