"""Jobs over HTTP, alike in every service: look, follow, stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from shared.access import Permission, Principal
from shared.eventstore import StoreUnavailable
from shared.http import Cursor, Limit, Page, page_of, position_of, principal
from shared.jobs.asking import Jobs
from shared.jobs.job import LARGEST_ROW, Job, RowResult, State
from shared.jobs.progress import Speed, Speedometer

LOOK_SECONDS = 0.25
"""Between two looks at a job that somebody follows: at most four events a second."""
QUIET_SECONDS = 15.0
"""After which a comment goes out, so that proxies keep a quiet connection."""
FOLLOWED_SECONDS = 3600.0
"""After which a follower has to connect anew: nobody is remembered for ever."""
EVENT_STREAM = "text/event-stream"

Seeing = Annotated[Principal, Depends(principal(Permission.JOBS_READ))]


class JobView(BaseModel):
    """How a job stands."""

    id: str
    kind: str
    state: State
    by: str = Field(description="id of the principal that began it")
    created_at: datetime
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    position: int = Field(description="rows that are done")
    total: int | None = Field(default=None, description="rows that there are, where that is known")
    counts: dict[str, int] = Field(description="rows by outcome")
    problem: str | None = Field(default=None, description="why it failed")


class FlawView(BaseModel):
    """What is wrong with a row."""

    field: str | None = None
    message: str


class ResultView(BaseModel):
    """What became of a row; values are never repeated."""

    row: int
    outcome: str
    id: str | None = Field(default=None, description="of what it made or changed")
    version: int | None = Field(default=None, description="of its stream")
    fields: list[str] = Field(default=[], description="names of what changed")
    flaws: list[FlawView] = []
    undone: str | None = Field(default=None, description="what became of it in the revert")


class ProgressView(BaseModel):
    """How a job goes on."""

    state: State
    position: int
    total: int | None = None
    counts: dict[str, int]
    rate: float | None = Field(default=None, description="rows per second")
    seconds_left: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class JobApi:
    """The endpoints below `/v1/jobs`."""

    jobs: Jobs

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("/{job}", self.get, methods=["GET"])
        router.add_api_route("/{job}/results", self.results, methods=["GET"])
        router.add_api_route(
            "/{job}/events",
            self.follow,
            methods=["GET"],
            response_class=StreamingResponse,
            responses={200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}},
        )
        router.add_api_route("/{job}/stop", self.stop, methods=["POST"])
        router.add_api_route("/{job}/pause", self.pause, methods=["POST"])
        router.add_api_route("/{job}/resume", self.resume, methods=["POST"])
        return router

    async def page(
        self,
        calling: Seeing,
        kind: Annotated[str | None, Query(max_length=64)] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[JobView]:
        """Jobs, the newest first."""
        kinds = None if kind is None else [kind]
        found = await self.jobs.page(calling, kinds, position_of(cursor, str), limit + 1)
        return page_of([view_of(job) for job in found], limit, lambda view: view.id)

    async def get(self, job: str, calling: Seeing) -> JobView:
        """One job."""
        return view_of(await self.jobs.find(job, calling))

    async def results(
        self,
        job: str,
        calling: Seeing,
        outcome: Annotated[str | None, Query(max_length=64)] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[ResultView]:
        """What became of each row, in the order of the rows."""
        found = await self.jobs.find(job, calling)
        after = position_of(cursor, int)
        results = await self.jobs.store.results(
            found.id,
            after=-1 if after is None else min(max(after, -1), LARGEST_ROW),
            limit=limit + 1,
            outcome=outcome,
        )
        return page_of([result_of(each) for each in results], limit, lambda view: view.row)

    async def stop(self, job: str, calling: Seeing) -> JobView:
        """End it after the rows in hand; what was done stays done."""
        return view_of(await self.jobs.stop(job, calling))

    async def pause(self, job: str, calling: Seeing) -> JobView:
        """Let it rest after the rows in hand."""
        return view_of(await self.jobs.pause(job, calling))

    async def resume(self, job: str, calling: Seeing) -> JobView:
        """Go on where it rested."""
        return view_of(await self.jobs.resume(job, calling))

    async def follow(self, job: str, calling: Seeing) -> StreamingResponse:
        """Server-sent events: `progress` while it goes on, `end` when it rests."""
        found = await self.jobs.find(job, calling)
        return StreamingResponse(
            self._events(found), media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"}
        )

    async def _events(self, job: Job) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        speedometer = Speedometer()
        begun = told = loop.time()
        last = ""
        while loop.time() - begun < FOLLOWED_SECONDS:
            speed = speedometer.read(job, loop.time())
            if job.resting:
                yield _event("end", job, speed)
                return
            text = _event("progress", job, speed)
            if text != last:
                yield text
                last, told = text, loop.time()
            elif loop.time() - told > QUIET_SECONDS:
                yield ": still here\n\n"
                told = loop.time()
            await asyncio.sleep(LOOK_SECONDS)
            # While the database is away, the follower sees what was known last.
            with suppress(StoreUnavailable):
                job = await self.jobs.store.get(job.id) or job


def _event(name: str, job: Job, speed: Speed) -> str:
    view = ProgressView(
        state=job.state,
        position=job.position,
        total=job.total,
        counts=job.counts,
        rate=None if speed.rate is None else round(speed.rate, 1),
        seconds_left=None if speed.seconds_left is None else round(speed.seconds_left, 1),
        problem=job.problem,
    )
    return f"event: {name}\ndata: {view.model_dump_json(exclude_none=True)}\n\n"


def view_of(job: Job) -> JobView:
    """The job as callers see it."""
    return JobView(
        id=job.id,
        kind=job.kind,
        state=job.state,
        by=job.by,
        created_at=job.created_at,
        begun_at=job.begun_at,
        ended_at=job.ended_at,
        position=job.position,
        total=job.total,
        counts=job.counts,
        problem=job.problem,
    )


def result_of(result: RowResult) -> ResultView:
    """The result as callers see it."""
    return ResultView(
        row=result.row,
        outcome=result.outcome,
        id=result.id,
        version=result.version,
        fields=list(result.fields),
        flaws=[FlawView(field=flaw.field, message=flaw.message) for flaw in result.flaws],
        undone=result.undone,
    )
