"""Who carries out jobs: a task of every worker, one runner per job at a time.

A runner takes a job by lease, works through it chunk by chunk, and lets its kind save after each
one where it stands. Killed at any step, the job goes on elsewhere from the last saved position, so
a kind must do its rows in a way that doing them again changes nothing: the id of a row's command is
`job|<job>|<row>`. A runner that lost its lease cannot save any more.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from shared.clock import Clock
from shared.decider import Refused
from shared.eventstore import StoreUnavailable
from shared.jobs.job import Job, RowResult, advanced, completed, failed, halted, taken
from shared.jobs.ports import JobStore
from shared.readmodel import Lease, Leases

LEASE_SECONDS = 15.0
POLL_SECONDS = 0.5
AT_ONCE = 4
"""Jobs that one worker carries out side by side: a long one lets others pass."""
LEASE_PREFIX = "job|"

log = structlog.stdlib.get_logger(__name__)


class Halted(Exception):  # noqa: N818 - an answer to a wish, no fault
    """Somebody wants the job to stop or pause; its chunk is saved."""


class Superseded(Exception):  # noqa: N818 - a state of the world
    """Another runner has the job: whoever meets this was frozen, and must do no more of it."""


def row_command(job_id: str, row: int) -> str:
    """The id of the command of a row: the same however often the row is done."""
    return f"job|{job_id}|{row}"


@dataclass(slots=True)
class Checkpoint:
    """What a kind saves its progress with; `job` is the job as it stands."""

    store: JobStore
    job: Job

    async def __call__(
        self,
        position: int,
        counts: Mapping[str, int] | None = None,
        results: Sequence[RowResult] = (),
        *,
        total: int | None = None,
    ) -> None:
        """Save that the rows up to `position` are done: position, counts and results, or nothing.

        Raises `Halted` (saved, and no more wanted), `Superseded` (not saved), `StoreUnavailable`
        (not known; whoever takes the job next does the chunk again).
        """
        while True:
            following = advanced(self.job, position, counts or {}, total)
            if await self.store.write(following, results):
                self.job = following
                break
            await self._reload()
        if self.job.wish is not None:
            raise Halted

    async def refresh(self) -> None:
        """See whether more is wanted, between chunks that take long. Raises as saving does."""
        await self._reload()
        if self.job.wish is not None:
            raise Halted

    async def _reload(self) -> None:
        """The job with what callers wished meanwhile."""
        stored = await self.store.get(self.job.id)
        if stored is None or stored.fence != self.job.fence or stored.resting:
            raise Superseded
        self.job = stored


class JobKind(Protocol):
    """One kind of job. `name` is stored in each job, and stays."""

    @property
    def name(self) -> str:
        """What its jobs are called."""
        ...

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """Carry it out from `job.position` on.

        Raises `Refused` where it can never go on (the job fails with that reason), and whatever
        the checkpoint raises.
        """
        ...


class RevertibleKind(JobKind, Protocol):
    """A kind whose jobs can be taken back."""

    async def revert(self, job: Job, checkpoint: Checkpoint) -> None:
        """Take back the rows from `job.position` on up to `job.reached`."""
        ...


AnyKind = JobKind | RevertibleKind


def kinds_by_name(kinds: Sequence[AnyKind]) -> Mapping[str, AnyKind]:
    """The kinds that a service registers. Raises ValueError for two of one name."""
    found = {kind.name: kind for kind in kinds}
    if len(found) != len(kinds):
        message = "two kinds of jobs have one name"
        raise ValueError(message)
    return found


@dataclass(slots=True)
class JobRunner:
    """Carries out the jobs of a service; `owner` names the process."""

    store: JobStore
    leases: Leases
    clock: Clock
    kinds: Mapping[str, AnyKind]
    owner: str
    lease_seconds: float = LEASE_SECONDS
    poll_seconds: float = POLL_SECONDS
    at_once: int = AT_ONCE
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self) -> None:
        """Look for jobs and carry them out, until cancelled."""
        try:
            while True:
                with suppress(StoreUnavailable):
                    await self.look()
                await asyncio.sleep(self.poll_seconds)
        finally:
            await self._leave()

    async def look(self) -> None:
        """Take up what wants a runner, as far as there is room."""
        for job in await self.store.active(self.kinds.keys()):
            if len(self._running) >= self.at_once:
                return
            if job.id in self._running:
                continue
            lease = await self.leases.acquire(LEASE_PREFIX + job.id, self.owner, self.lease_seconds)
            if lease is not None:
                task = asyncio.create_task(self._carry_out(job.id, lease), name=f"job {job.kind}")
                self._running[job.id] = task
                task.add_done_callback(self._forget)

    def _forget(self, ended: asyncio.Task[None]) -> None:
        self._running = {name: task for name, task in self._running.items() if task is not ended}

    async def settle(self) -> None:
        """Wait until nothing runs here; for tests and for orderly ends."""
        while self._running:
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _leave(self) -> None:
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, job_id: str, lease: Lease) -> None:
        working = asyncio.create_task(self._work(job_id, lease))
        keeping = asyncio.create_task(self._keep(lease))
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, keeping):
                task.cancel()
            await asyncio.gather(working, keeping, return_exceptions=True)
            with suppress(StoreUnavailable):
                await self.leases.release(lease)

    async def _keep(self, lease: Lease) -> None:
        """Hold on to the lease; returns when it is lost."""
        held: Lease | None = lease
        loop = asyncio.get_running_loop()
        until = loop.time() + self.lease_seconds
        while held is not None:
            await asyncio.sleep(self.lease_seconds / 3)
            with suppress(StoreUnavailable):
                if held := await self.leases.renew(lease, self.lease_seconds):
                    until = loop.time() + self.lease_seconds
            if loop.time() > until:
                return

    async def _work(self, job_id: str, lease: Lease) -> None:
        """Do what is to be done with the job, and say how it ended."""
        try:
            job = await self._take(job_id, lease)
            if job is None:
                return
            checkpoint = Checkpoint(self.store, job)
            problem = await self._do(job, checkpoint)
            await self._end(checkpoint, problem)
        except Superseded:
            log.warning("another runner has the job", job=job_id)
        except StoreUnavailable:
            # The job stays as it is, and is taken again once the database answers.
            log.warning("a job waits for the database", job=job_id)

    async def _take(self, job_id: str, lease: Lease) -> Job | None:
        while True:
            stored = await self.store.get(job_id)
            following = None
            if stored is not None:
                following = taken(stored, lease.fence, self.clock.system_now())
            if following is None or await self.store.write(following):
                return following

    async def _do(self, job: Job, checkpoint: Checkpoint) -> str | None:
        """Run or revert it; gives why it cannot go on, if so."""
        kind = self.kinds[job.kind]
        try:
            if job.wish is not None:
                return None
            if not job.undoing:
                await kind.run(job, checkpoint)
            elif (revert := getattr(kind, "revert", None)) is not None:
                await revert(job, checkpoint)
        except Halted:
            return None
        except Refused as refusal:
            return refusal.detail or refusal.title
        except (StoreUnavailable, Superseded):
            raise
        except Exception:
            log.exception("a job failed", job=job.id, kind=job.kind)
            return "something went wrong here; the log has it under the job's id"
        return None

    async def _end(self, checkpoint: Checkpoint, problem: str | None) -> None:
        while True:
            job, at = checkpoint.job, self.clock.system_now()
            if problem is not None:
                ended = failed(job, problem, at)
            else:
                ended = completed(job, at) if job.wish is None else halted(job, at)
            if await self.store.write(ended):
                return
            with suppress(Halted):
                await checkpoint.refresh()
