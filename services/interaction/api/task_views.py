"""What callers are shown of tasks."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from fastapi import Response
from pydantic import BaseModel, Field

from services.interaction.domain.task import task_stream, task_version
from services.interaction.handlers.tasks import Settled
from services.interaction.projections.agenda import AgendaEntry
from shared.events.contract import show_moment
from shared.http import etag


class Done(BaseModel):
    """The answer to a command."""

    id: str
    version: int = Field(description="of the task; pass it on as `min_version`")
    repeated: bool = Field(description="it was recorded before")


class OriginView(BaseModel):
    """Why there is the task."""

    kind: str
    name: str | None
    event: str | None
    how: str | None


class OutcomeView(BaseModel):
    """How it ended."""

    at: str
    by: str | None
    outcome: str | None
    text: str | None
    answers: dict[str, str]
    next_task: str | None = Field(description="of a recurring one the task that comes after it")


class TaskView(BaseModel):
    """A task."""

    id: str
    version: int
    customer: str | None
    status: str
    kind: str
    title: str | None
    notes: str | None
    responsible: str | None
    department: str | None
    branch: str | None
    due: str | None
    priority: str
    overdue: bool = Field(description="it is open, and its due moment has passed")
    escalated_to: str | None
    reminders: list[dict[str, Any]]
    recurrence: dict[str, Any] | None
    escalation: dict[str, Any] | None
    script: str | None
    questionnaire: list[dict[str, Any]]
    call_list: str | None
    origin: OriginView
    outcome: OutcomeView | None
    handed_from: str | None = Field(description="who left, and had it before")
    planned: str
    next_timer: str | None = Field(description="when something happens with it by itself")


class RulesView(BaseModel):
    """What the chain has agreed on for all tasks."""

    zone: str
    escalation: dict[str, Any] | None
    version: int


class CallListView(BaseModel):
    """How the calls of a list went."""

    id: str
    total: int
    open: int
    completed: int
    cancelled: int
    outcomes: dict[str, int] = Field(description="of completed ones; without a word: empty")


def done(settled: Settled, response: Response) -> Done:
    """The answer to a command, and the task's version as the entity tag."""
    response.headers["ETag"] = etag(settled.version)
    return Done(id=settled.task, version=settled.version, repeated=settled.repeated)


def version_of(entry: AgendaEntry) -> int:
    """The version of a task that callers see."""
    stream = task_stream(entry.id, entry.generation)
    return task_version(stream, entry.id, entry.versions.get(stream, 0))


def view_of(entry: AgendaEntry, now: datetime) -> TaskView:
    """A task as it is shown at a moment."""
    terms, words = entry.terms, entry.words
    late = entry.status == "open" and terms.due is not None and terms.due < now
    return TaskView(
        id=entry.id,
        version=version_of(entry),
        customer=entry.customer,
        status=entry.status,
        kind=terms.kind,
        title=words.title,
        notes=words.notes,
        responsible=terms.responsible,
        department=terms.department,
        branch=terms.branch,
        due=_shown(terms.due),
        priority=terms.priority,
        overdue=late,
        escalated_to=entry.escalated_to,
        reminders=[_plain(each) for each in terms.reminders],
        recurrence=None if terms.recurrence is None else _plain(terms.recurrence),
        escalation=None if terms.escalation is None else _plain(terms.escalation),
        script=terms.script,
        questionnaire=[_plain(each) for each in terms.questionnaire],
        call_list=terms.call_list,
        origin=OriginView(**msgspec.structs.asdict(entry.origin)),
        outcome=_outcome(entry),
        handed_from=entry.giver,
        planned=show_moment(entry.planned),
        next_timer=_shown(entry.due_at),
    )


def call_list_view(name: str, counts: Mapping[str, Counter[str]]) -> CallListView:
    """The figures of a call list."""
    by_status = {status: sum(words.values()) for status, words in counts.items()}
    return CallListView(
        id=name,
        total=sum(by_status.values()),
        open=by_status.get("open", 0),
        completed=by_status.get("completed", 0),
        cancelled=by_status.get("cancelled", 0),
        outcomes=dict(sorted(counts.get("completed", Counter()).items())),
    )


def _outcome(entry: AgendaEntry) -> OutcomeView | None:
    outcome = entry.outcome
    if outcome is None:
        return None
    return OutcomeView(
        at=show_moment(outcome.at),
        by=outcome.by,
        outcome=outcome.outcome,
        text=outcome.text,
        answers=outcome.answers or {},
        next_task=outcome.next_task,
    )


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else show_moment(moment)


def _plain(part: msgspec.Struct) -> dict[str, Any]:
    """As JSON has it, moments in the contract's form."""
    return {
        name: show_moment(value) if isinstance(value, datetime) else value
        for name, value in msgspec.structs.asdict(part).items()
    }
