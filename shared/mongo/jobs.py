"""Jobs on MongoDB: a job and the results of its chunk move together or not at all."""

import asyncio
from collections.abc import Collection as Many
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from pymongo import InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from shared.jobs.job import ACTIVE, LARGEST_ROW, Job, RowResult
from shared.mongo.connection import (
    Collection,
    Database,
    Index,
    Session,
    abandoned_at,
    lost_indexes,
    translated,
)
from shared.mongo.transactions import transact
from shared.readmodel import RawDocument

JOBS = "jobs"
RESULTS = "job_results"
WRITE_SECONDS = 30.0
ROW_DIGITS = 10

JOB_INDEXES: Sequence[Index] = (
    # Those that want a runner are few; one person's list is read from its newest end.
    (("state", 1), ("created_at", 1)),
    (("by", 1), ("_id", 1)),
)
RESULT_INDEXES: Sequence[Index] = ((("job", 1), ("outcome", 1), ("row", 1)),)


class _Lost(Exception):  # noqa: N818 - an answer, and the way out of a transaction
    """The guard of the job was lost."""


@dataclass(frozen=True, slots=True)
class MongoJobs:
    """`{_id, kind, state, by, …}`, and `{_id: "<job>/<row, 10 digits>", …}` per row."""

    database: Database

    @property
    def _jobs(self) -> Collection:
        return self.database.collection(JOBS)

    @property
    def _results(self) -> Collection:
        return self.database.collection(RESULTS)

    async def create_indexes(self) -> None:
        """Make sure that runners and callers find what they look for."""
        await self._jobs.create_indexes(JOB_INDEXES)
        await self._results.create_indexes(RESULT_INDEXES)

    async def add(self, job: Job) -> bool:
        """Store a new job; False when there is one with its id."""
        with translated():
            try:
                await self._jobs.motor.insert_one(_raw(job))
            except DuplicateKeyError:
                return False
        return True

    async def get(self, job_id: str) -> Job | None:
        """One job."""
        found = await self._jobs.get(job_id)
        return None if found is None else msgspec.convert(found, Job)

    async def write(self, job: Job, results: Sequence[RowResult] = ()) -> bool:
        """Write the job where the stored `rev` is one less, and the results with it, or nothing."""
        if not results:
            return await self._replace(job, None)
        documents = [_raw_result(job.id, each) for each in results]
        try:
            if not job.undoing:
                await self._write_together(job, [InsertOne(each) for each in documents])
                return True
        except BulkWriteError as failure:
            # Rows of a run are new, and inserting is cheap. These are not: they are replaced.
            lost_indexes(failure)
        except _Lost:
            return False
        replacements = [ReplaceOne({"_id": each["_id"]}, each, upsert=True) for each in documents]
        try:
            await self._write_together(job, replacements)
        except _Lost:
            return False
        return True

    async def _write_together(
        self, job: Job, writes: Sequence[InsertOne[RawDocument] | ReplaceOne[RawDocument]]
    ) -> None:
        async def work(session: Session) -> None:
            if not await self._replace(job, session):
                raise _Lost
            await self._results.motor.bulk_write(list(writes), session=session)

        with abandoned_at(asyncio.get_running_loop().time() + WRITE_SECONDS):
            await transact(self.database, work)

    async def _replace(self, job: Job, session: Session | None) -> bool:
        with translated():
            result = await self._jobs.motor.replace_one(
                {"_id": job.id, "rev": job.rev - 1}, _raw(job), session=session
            )
        return result.matched_count == 1

    async def active(self, kinds: Many[str]) -> Sequence[Job]:
        """The jobs of the kinds that want a runner, the oldest first."""
        found = await self._jobs.find(
            {"state": {"$in": sorted(ACTIVE)}}, sort=[("state", 1), ("created_at", 1)]
        )
        jobs = [msgspec.convert(raw, Job) for raw in found if raw["kind"] in kinds]
        return sorted(jobs, key=lambda job: job.created_at)

    async def page(
        self, *, by: str | None, kinds: Many[str] | None, before: str | None, limit: int
    ) -> Sequence[Job]:
        """The newest jobs first, those before an id."""
        where: dict[str, Any] = {}
        if by is not None:
            where["by"] = by
        if kinds is not None:
            where["kind"] = {"$in": sorted(kinds)}
        if before is not None:
            where["_id"] = {"$gte": "", "$lt": before}
        found = await self._jobs.find(where, sort=[("_id", -1)], limit=limit)
        return [msgspec.convert(raw, Job) for raw in found]

    async def results(
        self, job_id: str, *, after: int, limit: int, outcome: str | None = None
    ) -> Sequence[RowResult]:
        """Results of rows after a row, in their order; those of an outcome, when one is named."""
        if outcome is None:
            bounds = {
                "$gte": _result_id(job_id, after + 1),
                "$lte": _result_id(job_id, LARGEST_ROW),
            }
            found = await self._results.find({"_id": bounds}, sort=[("_id", 1)], limit=limit)
        else:
            found = await self._results.find(
                {"job": job_id, "outcome": outcome, "row": {"$gt": after, "$lte": LARGEST_ROW}},
                sort=[("row", 1)],
                limit=limit,
            )
        return [msgspec.convert(raw, RowResult) for raw in found]

    async def results_before(self, job_id: str, *, before: int, limit: int) -> Sequence[RowResult]:
        """Results of rows before a row, the last one first."""
        bounds = {"$gte": _result_id(job_id, 0), "$lt": _result_id(job_id, before)}
        found = await self._results.find({"_id": bounds}, sort=[("_id", -1)], limit=limit)
        return [msgspec.convert(raw, RowResult) for raw in found]


def _result_id(job_id: str, row: int) -> str:
    return f"{job_id}/{max(row, 0):0{ROW_DIGITS}d}"


def _raw(job: Job) -> RawDocument:
    # The guard and what indexes hold are always there.
    raw: Mapping[str, Any] = msgspec.to_builtins(job, builtin_types=(datetime,))
    return {**raw, "rev": job.rev}


def _raw_result(job_id: str, result: RowResult) -> RawDocument:
    raw: Mapping[str, Any] = msgspec.to_builtins(result, builtin_types=(datetime,))
    return {"_id": _result_id(job_id, result.row), "job": job_id, **raw}
