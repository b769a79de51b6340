"""Hand-overs over HTTP: the jobs that a leaving or a closing began, and taking them back.

They are shown among all jobs too (`/v1/jobs/{job}`), with the result of each row.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends

from services.customer.handlers.departures import HAND_OVER, MOVE_HOME
from shared.access import Kind, Permission, Principal, scope
from shared.decider import not_found
from shared.http import principal
from shared.jobs import Jobs, JobView
from shared.jobs.api import view_of

Steering = Annotated[Principal, Depends(principal(Permission.OPERATIONS_RUN))]
KINDS = frozenset({HAND_OVER, MOVE_HOME})


@dataclass(frozen=True, slots=True)
class HandOverApi:
    """The endpoint."""

    jobs: Jobs

    def router(self) -> APIRouter:
        """The route below `/v1/hand-overs`."""
        router = APIRouter(prefix="/v1/hand-overs", tags=["employees"])
        router.add_api_route("/{job}/revert", self.revert, methods=["POST"])
        return router

    async def revert(self, job: str, calling: Steering) -> JobView:
        """Give back what is still in the hands that the job put it into.

        Whoever gets it back must be able to: an employee returns, a branch opens first.
        """
        scope(calling, Kind.JOB).require(None)
        if (await self.jobs.find(job, calling)).kind not in KINDS:
            kind = "hand-over"
            raise not_found(kind, job)
        return view_of(await self.jobs.revert(job, calling))
