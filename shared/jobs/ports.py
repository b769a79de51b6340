"""Where jobs live; `shared.mongo` and `shared.memory` implement it alike."""

from collections.abc import Collection, Sequence
from typing import Protocol

from shared.jobs.job import Job, RowResult


class JobStore(Protocol):
    """The jobs of one service, with the results of their rows."""

    async def add(self, job: Job) -> bool:
        """Store a new job; False, and nothing stored, when there is one with its id."""
        ...

    async def get(self, job_id: str) -> Job | None:
        """One job."""
        ...

    async def write(self, job: Job, results: Sequence[RowResult] = ()) -> bool:
        """Write the job where the stored `rev` is one less, and the results with it, or nothing.

        A result takes the place of that of the same row. False: another was faster. Raises
        `StoreUnavailable` when the outcome is not known.
        """
        ...

    async def active(self, kinds: Collection[str]) -> Sequence[Job]:
        """The jobs of the kinds that want a runner, the oldest first."""
        ...

    async def page(
        self, *, by: str | None, kinds: Collection[str] | None, before: str | None, limit: int
    ) -> Sequence[Job]:
        """The newest jobs first, those before an id; `by` and `kinds` None leave none out."""
        ...

    async def results(
        self, job_id: str, *, after: int, limit: int, outcome: str | None = None
    ) -> Sequence[RowResult]:
        """Results of rows after a row, in their order; those of an outcome, when one is named."""
        ...

    async def results_before(self, job_id: str, *, before: int, limit: int) -> Sequence[RowResult]:
        """Results of rows before a row, the last one first: a revert takes back from the end."""
        ...
