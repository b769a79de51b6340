"""What can be done with tasks: each handler loads, decides and appends, and nothing else.

A task that has moved on with its merged customer is asked where it goes on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.interaction.domain.task import BY_PERSON, NO_WORDS, Task, task_stream, task_version
from services.interaction.domain.tasks import (
    MOVED,
    TASK,
    Cancel,
    Change,
    Command,
    Complete,
    Plan,
    Reopen,
    whatever,
)
from services.interaction.handlers.task_rules import TaskGround, TaskGrounds
from shared.decider import Refused, not_found
from shared.envelope import Causation, decode
from shared.events import EVENT_TYPES
from shared.events.task import Series, TaskOrigin, TaskTerms, TaskWord, TaskWords
from shared.eventstore import StoreUnavailable
from shared.execute import Command as Execution
from shared.execute import Done, Outcome, Writer
from shared.ids import derived_id

MOST_MOVES = 20
"""Ends of streams that a command may meet on its way."""


@dataclass(frozen=True, slots=True)
class Request:
    """Under which id something is asked for, a keyed hash of what was asked, when, by whom and why.

    `may_touch` is asked with the branch of the task, `rests_on` with its version.
    """

    command_id: str
    hash: str
    at: datetime
    by: str | None = None
    may_touch: Callable[[str | None], None] = whatever
    rests_on: Callable[[int], None] = whatever
    why: Causation | None = None

    @property
    def causation(self) -> Causation:
        """What its events follow from."""
        return self.why or Causation(correlation=self.command_id)


@dataclass(frozen=True, slots=True)
class Planning:
    """A task to be planned; `sealed`: its texts are those of an event, as it has them.

    With `escalates` a task without an escalation gets that of the chain.
    """

    task: str
    terms: TaskTerms
    customer: str | None = None
    words: TaskWords = NO_WORDS
    origin: TaskOrigin = BY_PERSON
    series: Series | None = None
    escalates: bool = True


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a command: the task's id and version, and whether it was recorded before.

    `changed`: it gave events, now or then.
    """

    task: str
    version: int
    repeated: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class TaskLog:
    """One stream of a task: whose it is, and its state with texts still sealed."""

    stream: str
    key: str
    subject: str | None
    state: Task


async def task_log(writer: Writer, stream: str) -> TaskLog | None:
    """A stream of a task as it is stored; None when there is none."""
    commits = (await writer.store.read([stream])).get(stream)
    if not commits:
        return None
    envelopes = [decode(text) for commit in commits for text in commit.events]
    state = TASK.fold(
        EVENT_TYPES[each.type].model_validate_json(bytes(each.data)) for each in envelopes
    )
    return TaskLog(stream, commits[0].key, envelopes[0].subject, state)


def new_task_id(command_id: str) -> str:
    """The id of the task that a command plans: the same each time it is sent."""
    return derived_id("task", command_id)


def execution(
    request: Request, stream: str, customer: str | None, command: Command
) -> Execution[Command]:
    """A command on a task of a customer, or of nobody, whose texts a key of the stream seals."""
    return Execution(
        id=request.command_id,
        hash=request.hash,
        stream=stream,
        key=stream if customer is None else customer,
        body=command,
        causation=request.causation,
        subject=customer,
        sealed_by=stream if customer is None else None,
    )


@dataclass(frozen=True, slots=True)
class Tasks:
    """The use cases; `grounds` gives what decisions rest on besides the task."""

    writer: Writer
    grounds: TaskGrounds

    async def plan(self, request: Request, planning: Planning) -> Settled:
        """Have something done; the same again changes nothing."""
        (outcome,) = await self.plan_all([(request, planning)])
        if isinstance(outcome, Refused):
            raise outcome
        return _settled(planning.task, outcome)

    async def plan_all(
        self, asked: Sequence[tuple[Request, Planning]], *, sealed: bool = False
    ) -> Sequence[Outcome]:
        """Plan them, each with an outcome of its own; `sealed`: all texts come from events."""
        ground = await self.grounds.now()
        commands = [
            execution(
                request,
                task_stream(planning.task),
                planning.customer,
                _plan(request, planning, ground),
            )
            for request, planning in asked
        ]
        return await self.writer.many(TASK, commands, sealed=sealed) if commands else []

    async def change(
        self,
        request: Request,
        task: str,
        terms: Mapping[str, Any],
        words: TaskWords = NO_WORDS,
        cleared: tuple[TaskWord, ...] = (),
    ) -> Settled:
        """Say something else of a task; the same again changes nothing."""
        return await self._carry_out(
            request,
            Change(task=task, at=request.at, terms=terms, words=words, cleared=cleared),
        )

    async def complete(
        self,
        request: Request,
        task: str,
        outcome: str | None = None,
        text: str | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> Settled:
        """It was done. Of two who say so the first is believed, and the other is told."""
        return await self._carry_out(
            request,
            Complete(
                task=task, at=request.at, outcome=outcome, text=text, answers=dict(answers or {})
            ),
        )

    async def cancel(
        self, request: Request, task: str, reason: str, *, whole_series: bool = False
    ) -> Settled:
        """It will not be done."""
        return await self._carry_out(
            request, Cancel(task=task, at=request.at, reason=reason, whole_series=whole_series)
        )

    async def reopen(self, request: Request, task: str) -> Settled:
        """It has to be done after all."""
        return await self._carry_out(request, Reopen(task=task, at=request.at))

    async def _carry_out(self, request: Request, command: Command) -> Settled:
        """Carry out a command where the task is now. Raises its refusal."""
        stream, ground = task_stream(command.task), await self.grounds.now()
        for _ in range(MOST_MOVES):
            found = await task_log(self.writer, stream)
            if found is None:
                kind = "task"
                raise not_found(kind, command.task)
            asked = grounded(request, command, ground, found.state.terms)
            try:
                done = await self.writer.one(TASK, execution(request, stream, found.subject, asked))
            except Refused as refusal:
                if refusal.type != MOVED:
                    raise
                stream = refusal.extra["stream"]
            else:
                return _settled(command.task, done)
        message = f"the task moved {MOST_MOVES} times in a row"
        raise StoreUnavailable(message)


def grounded(request: Request, command: Command, ground: TaskGround, terms: TaskTerms) -> Command:
    """The command with who asks, and what it rests on besides the task."""
    return replace(
        command,
        by=request.by,
        escalates_to=ground.escalates_to(terms.escalation, terms.branch),
        zone=ground.zone(terms.branch),
        may_touch=request.may_touch,
        rests_on=request.rests_on,
    )


def _plan(request: Request, planning: Planning, ground: TaskGround) -> Plan:
    terms = planning.terms
    if planning.escalates and terms.escalation is None and terms.due is not None:
        terms = terms.model_copy(update={"escalation": ground.rules.escalation})
    return Plan(
        task=planning.task,
        at=request.at,
        by=request.by,
        may_touch=request.may_touch,
        terms=terms,
        words=planning.words,
        origin=planning.origin,
        series=planning.series,
    )


def _settled(task: str, done: Done) -> Settled:
    return Settled(task, task_version(done.stream, task, done.version), done.repeated, done.changed)
