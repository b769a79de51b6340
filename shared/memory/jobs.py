"""Jobs in a dict."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from shared.jobs.job import ACTIVE, Job, RowResult
from shared.memory.documents import stored


@dataclass(slots=True)
class MemoryJobs:
    """Jobs and the results of their rows."""

    _jobs: dict[str, Job] = field(default_factory=dict)
    _results: dict[str, dict[int, RowResult]] = field(default_factory=dict)

    async def add(self, job: Job) -> bool:
        """Store a new job; False when there is one with its id."""
        if job.id in self._jobs:
            return False
        self._jobs[job.id] = _copy(job)
        return True

    async def get(self, job_id: str) -> Job | None:
        """One job."""
        job = self._jobs.get(job_id)
        return None if job is None else _copy(job)

    async def write(self, job: Job, results: Sequence[RowResult] = ()) -> bool:
        """Write the job where the stored `rev` is one less, and the results with it, or nothing."""
        present = self._jobs.get(job.id)
        if present is None or present.rev != job.rev - 1:
            return False
        self._jobs[job.id] = _copy(job)
        self._results.setdefault(job.id, {}).update({each.row: each for each in results})
        return True

    async def active(self, kinds: Collection[str]) -> Sequence[Job]:
        """The jobs of the kinds that want a runner, the oldest first."""
        found = [
            _copy(job) for job in self._jobs.values() if job.state in ACTIVE and job.kind in kinds
        ]
        return sorted(found, key=lambda job: job.created_at)

    async def page(
        self, *, by: str | None, kinds: Collection[str] | None, before: str | None, limit: int
    ) -> Sequence[Job]:
        """The newest jobs first, those before an id."""
        found = [
            _copy(job)
            for job in self._jobs.values()
            if by in (None, job.by)
            and (kinds is None or job.kind in kinds)
            and (before is None or job.id < before)
        ]
        return sorted(found, key=lambda job: job.id, reverse=True)[:limit]

    async def results(
        self, job_id: str, *, after: int, limit: int, outcome: str | None = None
    ) -> Sequence[RowResult]:
        """Results of rows after a row, in their order; those of an outcome, when one is named."""
        found = [
            each
            for row, each in sorted(self._results.get(job_id, {}).items())
            if row > after and outcome in (None, each.outcome)
        ]
        return found[:limit]

    async def results_before(self, job_id: str, *, before: int, limit: int) -> Sequence[RowResult]:
        """Results of rows before a row, the last one first."""
        found = sorted(self._results.get(job_id, {}).items(), reverse=True)
        return [each for row, each in found if row < before][:limit]


def _copy(job: Job) -> Job:
    """The job as a database gives it back."""
    return msgspec.convert(stored(msgspec.to_builtins(job, builtin_types=(datetime,))), Job)
