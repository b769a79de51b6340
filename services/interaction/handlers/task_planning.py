"""Tasks that nobody plans by hand: rules, robots, confirmations, and the next of a series.

Each follows from one event, whose id makes the id of the task or of its command: read twice, by two
processes, it is planned once. Whom it is for is looked up in read models; while these do not know
the customer or deal yet, it waits a little for them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog

from services.interaction.domain.task import ID_CHARACTERS
from services.interaction.domain.task_terms import next_terms
from services.interaction.handlers.task_rules import TaskGround
from services.interaction.handlers.tasks import Planning, Request, Tasks, task_log
from services.interaction.projections.task_owners import CONFIRMATION, TaskOwner
from services.interaction.projections.task_sources import DealDuty
from services.interaction.queries.staff import end_of_day
from services.interaction.queries.task_owners import TaskOwners, TaskSources
from shared import causes
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.task import TaskKind, TaskOrigin, TaskTerms, TaskWords
from shared.ids import derived_id

WAIT_SECONDS = 3.0
PAUSE_SECONDS = 0.1
RESPONSIBLE, POSITION, EMPLOYEE = "responsible", "position:", "employee:"

FoundT = TypeVar("FoundT")

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ByRule:
    """Of `customer.task_requested`."""

    rule: str
    title: str
    kind: TaskKind
    due: datetime
    employee: str | None


@dataclass(frozen=True, slots=True)
class ByRobot:
    """Of `deal.task_requested`."""

    request: str
    deal: str
    robot: str
    title: str
    due: datetime


@dataclass(frozen=True, slots=True)
class ToConfirm:
    """Of `customer.confirmation_overdue`."""

    field: str
    how: str | None
    by: str | None


@dataclass(frozen=True, slots=True)
class NextOf:
    """Of the end of a recurring task."""

    task: str
    stream: str
    following: str
    due: datetime
    number: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What an event asks for; `depth` counts the causes before it."""

    event: str
    time: datetime
    correlation: str
    depth: int
    wanted: ByRule | ByRobot | ToConfirm | NextOf
    customer: str | None = None
    branch: str | None = None

    @property
    def request(self) -> Request:
        """The command that follows from the event: the same each time."""
        why = Causation(self.correlation, self.event, self.depth + 1)
        return Request(f"plan|{self.event}", "", self.time, why=why)


@dataclass(frozen=True, slots=True)
class Known:
    """What planning looked up."""

    owners: Mapping[str, TaskOwner]
    duties: Mapping[str, DealDuty]
    ground: TaskGround


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans what events ask for."""

    tasks: Tasks
    owners: TaskOwners
    sources: TaskSources
    wait_seconds: float = WAIT_SECONDS

    async def plan(self, asked: Sequence[Asked]) -> None:
        """Plan all of it. Raises `StoreUnavailable`; then ask again."""
        followed = [each for each in asked if not _too_deep(each)]
        again = [each for each in followed if isinstance(each.wanted, NextOf)]
        new = [each for each in followed if not isinstance(each.wanted, NextOf)]
        if new:
            known = await self._known(new)
            await self._carry_out([(each, _planning(each, known)) for each in new])
        following = [
            (each, planning)
            for each in again
            if (planning := await self._following(each)) is not None
        ]
        await self._carry_out(following, sealed=True)

    async def _carry_out(
        self, planned: Sequence[tuple[Asked, Planning]], *, sealed: bool = False
    ) -> None:
        asked = [(each.request, planning) for each, planning in planned]
        outcomes = await self.tasks.plan_all(asked, sealed=sealed)
        for (each, _), outcome in zip(planned, outcomes, strict=True):
            if isinstance(outcome, Refused):
                log.warning("a task is not planned", cause=each.event, reason=outcome.type)

    async def _known(self, asked: Sequence[Asked]) -> Known:
        customers = {each.customer for each in asked if each.customer is not None}
        deals = {each.wanted.deal for each in asked if isinstance(each.wanted, ByRobot)}
        ground = await self.tasks.grounds.now()
        owners = await self._found(self.owners.some, customers)
        return Known(owners, await self._found(self.sources.duties, deals), ground)

    async def _found(
        self, ask: Callable[[Collection[str]], Awaitable[Mapping[str, FoundT]]], ids: set[str]
    ) -> Mapping[str, FoundT]:
        """What is known of them, as soon as all are; after a while, what there is."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self.wait_seconds
        found = await ask(ids) if ids else {}
        while len(found) < len(ids) and loop.time() < give_up:
            await asyncio.sleep(PAUSE_SECONDS)
            found = await ask(ids)
        return found

    async def _following(self, asked: Asked) -> Planning | None:
        wanted = asked.wanted
        assert isinstance(wanted, NextOf)  # noqa: S101 - they were told apart
        found = await task_log(self.tasks.writer, wanted.stream)
        if found is None or found.state.series is None:
            return None
        state = found.state
        assert state.series is not None  # noqa: S101 - see above
        return Planning(
            task=wanted.following,
            terms=next_terms(state.terms, wanted.due, asked.time, state.handed),
            customer=found.subject,
            words=state.words,
            origin=TaskOrigin(kind="recurrence", name=wanted.task, event=asked.event),
            series=state.series.model_copy(update={"number": wanted.number}),
            escalates=False,
        )


def _too_deep(asked: Asked) -> bool:
    return causes.stops(asked.depth + 1, "automation-loop", asked.event)


def _planning(asked: Asked, known: Known) -> Planning:
    owner = known.owners.get(asked.customer or "")
    branch = asked.branch or (None if owner is None else owner.home_branch)
    looks_after = None if owner is None else owner.responsible
    match asked.wanted:
        case ByRule() as wanted:
            return _by_rule(asked, wanted, wanted.employee or looks_after, branch)
        case ByRobot() as wanted:
            return _by_robot(asked, wanted, known.duties.get(wanted.deal), branch)
        case ToConfirm() as wanted:
            by = wanted.by or RESPONSIBLE
            if by.startswith(POSITION):
                who = known.ground.people.at_position(by.removeprefix(POSITION), branch)
            else:
                who = by.removeprefix(EMPLOYEE) if by.startswith(EMPLOYEE) else looks_after
            due = end_of_day(asked.time, known.ground.zone(branch))
            return _to_confirm(asked, wanted, who, branch, due)
        case NextOf():
            message = "the next of a series is planned by what it follows"
            raise TypeError(message)


def _by_rule(asked: Asked, wanted: ByRule, who: str | None, branch: str | None) -> Planning:
    return Planning(
        task=derived_id("task", asked.event),
        terms=TaskTerms(
            kind=wanted.kind, responsible=who, branch=branch, due=wanted.due, since=asked.time
        ),
        customer=asked.customer,
        words=TaskWords(title=wanted.title),
        origin=TaskOrigin(kind="rule", name=wanted.rule, event=asked.event),
    )


def _by_robot(asked: Asked, wanted: ByRobot, duty: DealDuty | None, branch: str | None) -> Planning:
    fits = len(wanted.request) == ID_CHARACTERS
    return Planning(
        task=wanted.request if fits else derived_id("task", wanted.request),
        terms=TaskTerms(
            kind="todo",
            responsible=None if duty is None else duty.responsible,
            branch=asked.branch or (None if duty is None else duty.branch) or branch,
            due=wanted.due,
            since=asked.time,
        ),
        customer=asked.customer,
        words=TaskWords(title=wanted.title),
        origin=TaskOrigin(kind="robot", name=wanted.robot, event=asked.event),
    )


def _to_confirm(
    asked: Asked, wanted: ToConfirm, who: str | None, branch: str | None, due: datetime
) -> Planning:
    return Planning(
        task=derived_id("task", asked.event),
        terms=TaskTerms(
            kind=CONFIRMATION, responsible=who, branch=branch, due=due, since=asked.time
        ),
        customer=asked.customer,
        origin=TaskOrigin(kind=CONFIRMATION, name=wanted.field, event=asked.event, how=wanted.how),
    )
