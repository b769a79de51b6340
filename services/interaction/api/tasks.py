"""The endpoints below `/v1/tasks`: decode, call a handler or a query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from services.interaction.api.task_inputs import (
    CancellationInput,
    CompletionInput,
    NoInput,
    RulesInput,
    Status,
    TaskInput,
    TaskPatch,
)
from services.interaction.api.task_views import (
    Done,
    RulesView,
    TaskView,
    done,
    version_of,
    view_of,
)
from services.interaction.domain.task_rules import DefineRules
from services.interaction.domain.tasks import whatever
from services.interaction.handlers.tasks import Planning, Request, Tasks, new_task_id
from services.interaction.queries.agenda import Agenda, Filters
from services.interaction.queries.customers import Customers, living
from services.interaction.queries.staff import end_of_day
from services.interaction.queries.task_owners import TaskOwners
from shared.access import Kind, Permission, Principal, Scope, scope
from shared.clock import Clock
from shared.decider import invalid, not_found
from shared.events.task import TaskTerms
from shared.http import (
    CommandId,
    Cursor,
    IfMatch,
    IfMatchUnlessNew,
    Limit,
    MinVersion,
    Page,
    asked_hash,
    cursor_of,
    etag,
    position_of,
    principal,
    until,
)

Reader = Annotated[Principal, Depends(principal(Permission.TASKS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.TASKS_WRITE))]
Configuring = Annotated[Principal, Depends(principal(Permission.CONFIGURATION_WRITE))]
Name = Annotated[str | None, Query(max_length=200)]
ME = "me"
"""Whoever calls, where a person is named."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks a list is to hold; `person: me` is whoever calls."""

    person: Name = None
    branch: Name = None
    customer: Name = None
    call_list: Name = None
    status: Status | None = None
    kind: Name = None
    department: Name = None
    when: Annotated[
        Literal["today", "overdue"] | None,
        Query(
            description="open ones that are due before the day ends, those from before included, "
            "in the time zone of `branch`, else of the chain; or whose due moment has passed"
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class TaskApi:
    """The endpoints, on what they need; `secret` is that of the chain's keyed hashes."""

    tasks: Tasks
    agenda: Agenda
    owners: TaskOwners
    customers: Customers
    clock: Clock
    secret: bytes

    def router(self) -> APIRouter:
        """The routes below `/v1/tasks`."""
        router = APIRouter(prefix="/v1/tasks", tags=["tasks"])
        add = router.add_api_route
        add("", self.plan, methods=["POST"], status_code=201)
        add("", self.page, methods=["GET"])
        # Before the paths that take any id.
        add("/rules", self.rules, methods=["GET"])
        add("/rules", self.define_rules, methods=["PUT"])
        add("/{task}", self.get, methods=["GET"])
        add("/{task}", self.change, methods=["PATCH"])
        add("/{task}/complete", self.complete, methods=["POST"])
        add("/{task}/cancel", self.cancel, methods=["POST"])
        add("/{task}/reopen", self.reopen, methods=["POST"])
        return router

    async def plan(
        self, body: TaskInput, calling: Writing, command_id: CommandId, response: Response
    ) -> Done:
        """Have something done; for a customer it is at the home branch, where no other is said."""
        request = await self._request(calling, command_id, ["plan", body])
        customer = await self._customer(body.customer)
        said = {"branch": await self._home(customer), **body.terms()}
        planning = Planning(
            task=new_task_id(command_id),
            terms=TaskTerms(kind=body.kind, since=request.at).model_copy(update=said),
            customer=customer,
            words=body.words(),
            escalates="escalation" not in body.model_fields_set,
        )
        return done(await self.tasks.plan(request, planning), response)

    async def page(
        self,
        calling: Reader,
        wanted: Annotated[Wanted, Depends()],
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[TaskView]:
        """Tasks of the caller's branches by when they are due; who was merged is the survivor."""
        after, now = position_of(cursor, str), self.clock.now()
        found = await self.agenda.page(
            _scope(calling), await self._filters(calling, wanted), after, limit
        )
        return Page[TaskView](
            items=[view_of(each, now) for each in found.entries],
            next_cursor=None if found.after is None else cursor_of(found.after),
        )

    async def get(
        self, task: str, calling: Reader, response: Response, min_version: MinVersion = None
    ) -> TaskView:
        """One task of the caller's branches."""
        if min_version is not None:
            await until(lambda: self._has(task, min_version))
        found = await self.agenda.get(task)
        if found is None:
            kind = "task"
            raise not_found(kind, task)
        _scope(calling).require(found.branch)
        view = view_of(found, self.clock.now())
        response.headers["ETag"] = etag(view.version)
        return view

    async def change(
        self,
        task: str,
        body: TaskPatch,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatch,
        response: Response,
    ) -> Done:
        """Say something else of a task; what is left out stays, null clears."""
        said = body.model_dump(mode="json", exclude_unset=True)
        request = await self._request(calling, command_id, ["change", task, said], rests_on.require)
        settled = await self.tasks.change(request, task, body.terms(), body.words(), body.cleared())
        return done(settled, response)

    async def complete(
        self,
        task: str,
        body: CompletionInput,
        calling: Writing,
        command_id: CommandId,
        response: Response,
    ) -> Done:
        """It was done. Whoever says so second is told who was first, and when (409)."""
        request = await self._request(calling, command_id, ["complete", task, body])
        settled = await self.tasks.complete(request, task, body.outcome, body.text, body.answers)
        return done(settled, response)

    async def cancel(
        self,
        task: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        body: CancellationInput | None = None,
    ) -> Done:
        """It will not be done."""
        body = body or CancellationInput()
        request = await self._request(calling, command_id, ["cancel", task, body])
        settled = await self.tasks.cancel(
            request, task, body.reason, whole_series=body.whole_series
        )
        return done(settled, response)

    async def reopen(
        self,
        task: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        body: NoInput | None = None,
    ) -> Done:
        """It has to be done after all."""
        del body
        request = await self._request(calling, command_id, ["reopen", task])
        return done(await self.tasks.reopen(request, task), response)

    async def rules(self, _calling: Reader, response: Response) -> RulesView:
        """What the chain has agreed on for all tasks."""
        rules, version = await self.tasks.grounds.rules()
        response.headers["ETag"] = etag(version)
        escalation = rules.escalation
        return RulesView(
            zone=rules.zone,
            escalation=None if escalation is None else escalation.model_dump(exclude_none=True),
            version=version,
        )

    async def define_rules(
        self,
        body: RulesInput,
        calling: Configuring,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> RulesView:
        """Agree on something else; tasks that are planned from now on get it."""
        scope(calling, Kind.CONFIGURATION).require(None)
        request = await self._request(calling, command_id, ["rules", body])
        to = body.escalation
        command = DefineRules(
            at=request.at,
            zone=body.zone,
            escalation=None if to is None else to.escalation(),
            by=request.by,
            rests_on=rests_on,
        )
        await self.tasks.grounds.define(command_id, request.hash, command)
        return await self.rules(calling, response)

    async def _customer(self, customer: str | None) -> str | None:
        """Who it is by now. Raises `Refused` for somebody who is not known."""
        if customer is None:
            return None
        found = await living(self.customers.owners, customer)
        if found is None:
            raise invalid("customer", "is unknown")
        return found

    async def _home(self, customer: str | None) -> str | None:
        """Where a customer belongs, as far as it is known."""
        if customer is None:
            return None
        owner = (await self.owners.some([customer])).get(customer)
        return None if owner is None else owner.home_branch

    async def _filters(self, calling: Principal, wanted: Wanted) -> Filters:
        ground = await self.tasks.grounds.now()
        now, status, before = self.clock.now(), wanted.status, None
        if wanted.when is not None:
            zone = ground.zone(wanted.branch)
            status, before = "open", end_of_day(now, zone) if wanted.when == "today" else now
        customer = wanted.customer
        return Filters(
            person=ground.people.who(calling.id) if wanted.person == ME else wanted.person,
            branch=wanted.branch,
            customer=None if customer is None else await self.owners.living(customer),
            call_list=wanted.call_list,
            status=status,
            kind=wanted.kind,
            department=wanted.department,
            due_before=before,
        )

    async def _has(self, task: str, version: int) -> bool:
        found = await self.agenda.get(task)
        return found is not None and version_of(found) >= version

    async def _request(
        self,
        calling: Principal,
        command_id: str,
        said: Sequence[object],
        rests_on: Callable[[int], None] = whatever,
    ) -> Request:
        """The request with the keyed hash of what was said, narrowed to the caller's branches."""
        ground = await self.tasks.grounds.now()
        return Request(
            command_id,
            asked_hash(self.secret, said),
            self.clock.now(),
            by=ground.people.who(calling.id),
            may_touch=_scope(calling).require,
            rests_on=rests_on,
        )


def _scope(calling: Principal) -> Scope:
    return scope(calling, Kind.TASK)
