"""What callers may do with jobs: begin, see, stop, pause, resume and revert them.

A job is seen by whoever began it, and by those who may see the whole chain; it is steered by
whoever began it, and by those who run the chain's operations. To others there is no such job.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.decider import Refused, not_found
from shared.eventstore import StoreUnavailable, body_hash
from shared.execute.commands import differs
from shared.ids import new_id
from shared.jobs.job import Job, begun, resumed, reverted, wished
from shared.jobs.ports import JobStore

TRIES = 50
_ASKED = "asked_hash"


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of a service, as callers meet them."""

    store: JobStore
    clock: Clock

    async def begin(
        self,
        kind: str,
        by: str,
        params: Mapping[str, Any],
        *,
        job_id: str | None = None,
        total: int | None = None,
        asked: object = None,
    ) -> Job:
        """Have a job done. With an id that is known, the job of that id is given instead.

        `asked` is the JSON that was asked for, where there is any: the same id with another one is
        refused (422), as a command is.
        """
        hashed = None if asked is None else body_hash(asked)
        job = begun(
            job_id=job_id or new_id(),
            kind=kind,
            by=by,
            at=self.clock.system_now(),
            params=params if hashed is None else {**params, _ASKED: hashed},
            total=total,
        )
        if await self.store.add(job):
            return job
        known = await self.store.get(job.id)
        if known is None or (known.kind, known.by) != (kind, by):
            raise Refused("job-differs", 409, "There is another job under this id.")
        if known.params.get(_ASKED, hashed) != hashed:
            raise differs()
        return known

    async def find(self, job_id: str, calling: Principal) -> Job:
        """A job that the caller may see. Raises `Refused` (404)."""
        job = await self.store.get(job_id)
        if job is None or not (job.by == calling.id or _sees_all(calling)):
            raise not_found("job", job_id)
        return job

    async def page(
        self, calling: Principal, kinds: Collection[str] | None, before: str | None, limit: int
    ) -> Sequence[Job]:
        """The newest jobs that the caller may see."""
        by = None if _sees_all(calling) else calling.id
        return await self.store.page(by=by, kinds=kinds, before=before, limit=limit)

    async def stop(self, job_id: str, calling: Principal) -> Job:
        """End it after the chunk in hand; what was done stays done."""
        at = self.clock.system_now()
        return await self._steer(job_id, calling, lambda job: wished(job, "stop", at))

    async def pause(self, job_id: str, calling: Principal) -> Job:
        """Let it rest after the chunk in hand."""
        at = self.clock.system_now()
        return await self._steer(job_id, calling, lambda job: wished(job, "pause", at))

    async def resume(self, job_id: str, calling: Principal) -> Job:
        """Go on where it rested."""
        return await self._steer(job_id, calling, resumed)

    async def revert(self, job_id: str, calling: Principal) -> Job:
        """Take it back; whether its kind can is the caller's business, who offers it."""
        return await self._steer(job_id, calling, reverted)

    async def _steer(self, job_id: str, calling: Principal, change: Callable[[Job], Job]) -> Job:
        for _ in range(TRIES):
            job = await self.find(job_id, calling)
            _require_steering(job, calling)
            changed = change(job)
            if await self.store.write(changed):
                return changed
        raise StoreUnavailable("the job changes too fast")


def _sees_all(calling: Principal) -> bool:
    return scope(calling, Kind.JOB).everything


def _require_steering(job: Job, calling: Principal) -> None:
    if job.by != calling.id:
        calling.require(Permission.OPERATIONS_RUN)
