"""The endpoints below `/v1/call-lists`: begun as jobs, and how the calls went."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends

from services.interaction.api.task_inputs import CallListInput
from services.interaction.api.task_views import CallListView, call_list_view
from services.interaction.domain.task_terms import check_terms
from services.interaction.handlers.call_lists import CALL_LIST, CallListWish
from services.interaction.handlers.task_rules import TaskGrounds
from services.interaction.queries.agenda import Agenda
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.decider import Refused
from shared.events.task import TaskTerms
from shared.http import CommandId, asked_hash, principal
from shared.ids import derived_id
from shared.jobs import Jobs, JobView
from shared.jobs.api import view_of

Reader = Annotated[Principal, Depends(principal(Permission.TASKS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.TASKS_WRITE))]


@dataclass(frozen=True, slots=True)
class CallListApi:
    """The endpoints, on what they need; `secret` is that of the chain's keyed hashes."""

    jobs: Jobs
    agenda: Agenda
    grounds: TaskGrounds
    clock: Clock
    secret: bytes

    def router(self) -> APIRouter:
        """The routes below `/v1/call-lists`."""
        router = APIRouter(prefix="/v1/call-lists", tags=["tasks"])
        router.add_api_route("", self.begin, methods=["POST"], status_code=202)
        router.add_api_route("/{call_list}", self.get, methods=["GET"])
        return router

    async def begin(self, body: CallListInput, calling: Writing, command_id: CommandId) -> JobView:
        """Plan a task for each customer; the id of the job is that of the list."""
        if body.segment is not None:
            calling.require(Permission.SEGMENTS_READ)
            scope(calling, Kind.SEGMENT).require(None)
        allowed = scope(calling, Kind.TASK)
        if body.branch is not None:
            allowed.require(body.branch)
        terms = TaskTerms(kind=body.kind, since=self.clock.now()).model_copy(update=body.terms())
        check_terms(terms)
        people = (await self.grounds.now()).people
        wish = CallListWish(
            hash=asked_hash(self.secret, body),
            title=body.title,
            terms=terms,
            escalates="escalation" not in body.model_fields_set,
            segment=body.segment,
            customers=body.customers or (),
            responsibles=body.responsibles,
            branches=None if allowed.branches is None else tuple(sorted(allowed.branches)),
            by=people.who(calling.id),
        )
        job = await self.jobs.begin(
            CALL_LIST,
            calling.id,
            wish.model_dump(mode="json"),
            job_id=derived_id(CALL_LIST, command_id),
        )
        if job.params["hash"] != wish.hash:
            raise Refused(
                "command-differs",
                422,
                "This id was used before for something else.",
                "send the same content again, or use another id",
            )
        return view_of(job)

    async def get(self, call_list: str, calling: Reader) -> CallListView:
        """How the calls of a list went, those of the caller's branches."""
        counts = await self.agenda.outcomes(scope(calling, Kind.TASK), call_list)
        return call_list_view(call_list, counts)
