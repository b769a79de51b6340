"""`/v1/progress`: whether a service has caught up, in numbers that anybody can add."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from shared.access import Permission, Principal
from shared.http import principal
from shared.kafka import group_lag
from shared.mongo.events import COMMITS
from shared.mongo.parking import PARKED
from shared.process.kernel import Kernel

Counts = Callable[[], Awaitable[Mapping[str, int]]]
Notes = Callable[[], Awaitable[Mapping[str, str]]]


Readers = Callable[[], Awaitable[Mapping[str, tuple[str, ...]]]]


async def no_readers() -> Mapping[str, tuple[str, ...]]:
    """For a service whose consumer groups are known when it starts."""
    return {}


async def nothing() -> Mapping[str, int]:
    """For a service that has neither timers nor messages."""
    return {}


async def silence() -> Mapping[str, str]:
    """For a service of which a person need know nothing more."""
    return {}


@dataclass(frozen=True, slots=True)
class Reports:
    """What a service says of itself beside what every service says.

    `counts` go to `/v1/progress`: `due_timers` and `open_messages`. `notes` go to `/readyz` for a
    person to read; they never make a process unready. `readers` are consumer groups that come and
    go, with the topics of each.
    """

    counts: Counts = nothing
    notes: Notes = silence
    readers: Readers = no_readers


NO_REPORTS = Reports()


class ProgressReport(BaseModel):
    """How far a service is behind; all zero but `commits` and `parked`: it has caught up."""

    service: str
    commits: int = Field(description="commits in its store")
    unrelayed: int = Field(description="commits not proven to be in Kafka yet")
    lag: dict[str, int] = Field(description="per reader: events published and not applied yet")
    parked: int = Field(description="events that could not be applied and wait for a person")
    due_timers: int = 0
    open_messages: int = 0
    caught_up: bool


@dataclass(frozen=True, slots=True)
class Reporting:
    """Answers for one service; `readers` are its lasting consumer groups and their topics."""

    kernel: Kernel
    readers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reports: Reports = NO_REPORTS

    def router(self) -> APIRouter:
        """The route `/v1/progress`."""
        router = APIRouter(tags=["operations"])
        router.add_api_route("/v1/progress", self.report, methods=["GET"])
        return router

    async def report(
        self, _calling: Annotated[Principal, Depends(principal(Permission.PROGRESS_READ))]
    ) -> ProgressReport:
        """How far this service is behind."""
        kernel = self.kernel
        commits = kernel.database.collection(COMMITS)
        mine = kernel.progress.latest.get(kernel.service)
        since = {} if mine is None else {"recorded_at": {"$gte": mine.system}}
        unrelayed = await commits.count(since)
        lag = {
            group: await group_lag(kernel.kafka, group, topics, kernel.progress.of_topics(topics))
            for group, topics in {**self.readers, **await self.reports.readers()}.items()
        }
        counts = await self.reports.counts()
        due, waiting = counts.get("due_timers", 0), counts.get("open_messages", 0)
        return ProgressReport(
            service=kernel.service,
            commits=await commits.estimate(),
            unrelayed=unrelayed,
            lag=lag,
            parked=await kernel.database.collection(PARKED).count({}),
            due_timers=due,
            open_messages=waiting,
            caught_up=unrelayed + sum(lag.values()) + due + waiting == 0,
        )
