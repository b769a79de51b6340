"""Use cases of tables of cut points: defining one, dividing the base anew, now or by the clock.

Dividing is a job, since it reads every profile; killed, it begins again. A schedule begins it once
for each period, by an id of that period: so several workers begin it once.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from services.segment.domain.tables import Command, DefineTable, SetCutPoints, table_stream, tables
from services.segment.handlers.definitions import Request
from services.segment.queries.scoring import Scoring, Tables
from services.segment.rules.instants import instant, span
from shared.clock import Clock
from shared.eventstore import StoreUnavailable
from shared.execute import Command as Execution
from shared.execute import Done, Writer
from shared.ids import derived_id
from shared.jobs import Checkpoint, Job, Jobs

CUT_POINTS = "cut_points"
BY = "service:segment"
POLL_SECONDS = 5.0

log = structlog.stdlib.get_logger(__name__)


async def define(
    writer: Writer, horizon: timedelta, request: Request, command: DefineTable
) -> Done:
    """Give a table its (new) meaning. Raises `Refused` that names what is wrong in it."""
    return await writer.one(tables(horizon), _asked(request, command))


@dataclass(frozen=True, slots=True)
class CutPointCount:
    """Divides the base of a table; implements `JobKind`."""

    writer: Writer
    tables: Tables
    scoring: Scoring
    clock: Clock
    horizon: timedelta
    name: str = CUT_POINTS

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """Read the base, and set what divides it."""
        name = job.params["table"]
        state = await self.tables.require(name)
        if (table := state.table) is None:
            return
        at = self.clock.now()
        parts = []
        async for part in self.scoring.base(table, instant(at)):
            parts.append(part)
            await checkpoint(0)
        base = [figures for part in parts for figures in part]
        command = SetCutPoints(name, state.definition, base, self.clock.now())
        request = Request(f"cuts|{job.id}", state.definition, command.at)
        await self.writer.one(tables(self.horizon), _asked(request, command))
        await checkpoint(len(base), {"base": len(base)}, total=len(base))


@dataclass(frozen=True, slots=True)
class TableSchedule:
    """Begins the jobs that are due: for a table without cut points at once, else as it says."""

    tables: Tables
    jobs: Jobs
    clock: Clock
    poll_seconds: float = POLL_SECONDS
    _begun: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as failure:
                log.warning("tables unread", reason=str(failure))
            await asyncio.sleep(self.poll_seconds)

    async def look(self) -> None:
        """Begin what is due now."""
        now = instant(self.clock.now())
        for name, state in (await self.tables.all()).items():
            if state.defined is None:
                continue
            if state.cut is None:
                period = "first"
            elif state.defined.every is not None:
                period = str(now // span(state.defined.every))
            else:
                continue
            job = derived_id(CUT_POINTS, name, str(state.definition), period)
            if job not in self._begun:
                await self.jobs.begin(CUT_POINTS, BY, {"table": name}, job_id=job)
                self._begun.add(job)


def recompute_job(command_id: str) -> str:
    """The id of the job that somebody asked for under a command's id."""
    return derived_id(CUT_POINTS, command_id)


def _asked(request: Request, command: Command) -> Execution[Command]:
    return request.asks(command.name, table_stream(command.name), command)
