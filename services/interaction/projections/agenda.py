"""The agenda: one document per task, with the moment at which something happens with it next.

Texts are kept sealed, as the events have them, and opened when they are shown; a task that was
cancelled because its customer was erased is a tombstone. A task that went on with another customer
is told whole at the beginning of its next stream, and what an earlier stream says is passed over
from then on: so it does not matter which of the two is read first.
"""

from datetime import datetime
from typing import Any

import msgspec

from services.interaction.domain.task import (
    ID_CHARACTERS,
    TASK_STREAM,
    generation_of,
)
from services.interaction.domain.task_times import timers
from services.interaction.domain.tasks import ERASED
from services.interaction.projections.task_events import (
    NO_WORDS,
    Cancelled,
    Changed,
    Completed,
    Continued,
    Escalated,
    Origin,
    Outcome,
    Overdue,
    Planned,
    Reminded,
    Reopened,
    Terms,
    Transferred,
    Words,
)
from shared.events import topic_of
from shared.events.contract import show_moment
from shared.events.task import (
    TaskCancelled,
    TaskChanged,
    TaskCompleted,
    TaskContinued,
    TaskEscalated,
    TaskOverdue,
    TaskPlanned,
    TaskReminded,
    TaskReopened,
    TaskTransferred,
)
from shared.projection import Document, Event, Projection

NEVER_DUE = "9999"
"""Sorts behind every moment."""


class AgendaEntry(Document, kw_only=True, omit_defaults=True):
    """A task.

    `turn` is `<due moment>|<id>`, unique, by which pages go on; `due_at` is when something happens
    with it next, None while nothing does. `people` are those in whose lists it stands: who does it,
    and who it was escalated to. The fields that queries look for have no default, so that each is
    stored; `taker` is who took it over from `giver`, who left.
    """

    generation: int
    customer: str | None
    status: str
    kind: str
    branch: str | None
    department: str | None
    people: list[str]
    responsible: str | None
    call_list: str | None
    turn: str
    due_at: datetime | None
    terms: Terms
    origin: Origin
    planned: datetime
    giver: str | None
    taker: str | None
    words: Words = NO_WORDS
    outcome: Outcome | None = None
    reminded: list[datetime] = msgspec.field(default_factory=list)
    overdue: datetime | None = None
    escalated: datetime | None = None
    escalated_to: str | None = None


def _target(event: Event) -> str | None:
    """The task; what the chain has agreed on for all of them is in another stream."""
    stream = event.light.stream
    if not stream.startswith(TASK_STREAM):
        return None
    return stream.removeprefix(TASK_STREAM)[:ID_CHARACTERS]


def apply(entry: AgendaEntry | None, event: Event) -> AgendaEntry:
    """The task after an event."""
    data = event.data
    match data:
        case Planned() | Continued() if entry is not None and not _goes_on(entry, data):
            # What was read first is a later stream, which tells all but this.
            entry.planned = min(entry.planned, event.time)
            return entry
        case Planned():
            return _shown(_planned(event, data))
        case Continued():
            return _shown(_continued(entry, event, data))
    if entry is None:
        message = "the first event of a task plans or continues it"
        raise ValueError(message)
    if generation_of(event.light.stream, entry.id) < entry.generation or entry.removed:
        return entry
    _take(entry, data)
    return _shown(entry)


def _goes_on(entry: AgendaEntry, data: Planned | Continued) -> bool:
    """Whether the beginning of a stream is that of a later one than what is known."""
    later = isinstance(data, Continued) and data.generation > entry.generation
    return later and not entry.removed


def _take(entry: AgendaEntry, data: object) -> None:
    match data:
        case Changed():
            _change(entry, data)
        case Completed():
            entry.status, entry.outcome = "completed", _outcome(data)
        case Cancelled(reason=reason):
            outcome = Outcome(at=data.at, by=data.by, outcome=reason, next_task=data.next_task)
            entry.status, entry.outcome = "cancelled", outcome
            if reason == ERASED:
                _wipe(entry)
        case Reopened(at=at):
            entry.status, entry.outcome = "open", None
            since = max(at or entry.terms.since, entry.terms.since)
            entry.terms = msgspec.structs.replace(entry.terms, since=since)
        case Reminded(reminder=moment):
            entry.reminded = [*entry.reminded, moment]
        case Overdue(due=moment):
            entry.overdue = moment
        case Escalated(deadline=moment, to=to):
            entry.escalated, entry.escalated_to = moment, to
        case Transferred() | None:
            pass


def _change(entry: AgendaEntry, data: Changed) -> None:
    gone: dict[str, Any] = dict.fromkeys(data.cleared)
    given: dict[str, Any] = msgspec.to_builtins(data.words)
    entry.words = msgspec.structs.replace(entry.words, **{**gone, **given})
    if data.terms is None:
        return
    if data.terms.due != entry.terms.due:
        entry.escalated_to = None
    if data.terms.responsible != entry.terms.responsible:
        handed = data.handed
        entry.giver = None if handed is None else handed.giver
        entry.taker = None if handed is None else handed.taker
    entry.terms = data.terms


def _wipe(entry: AgendaEntry) -> None:
    """Nothing is left that concerns somebody."""
    entry.removed, entry.customer, entry.words, entry.outcome = True, None, NO_WORDS, None


def _outcome(data: Completed) -> Outcome:
    return Outcome(
        at=data.at,
        by=data.by,
        outcome=data.outcome,
        text=data.text,
        answers=data.answers,
        next_task=data.next_task,
    )


def _shown(entry: AgendaEntry) -> AgendaEntry:
    """The entry with all that follows from the rest of it."""
    terms = entry.terms
    people = {each for each in (terms.responsible, entry.escalated_to) if each is not None}
    due = NEVER_DUE if terms.due is None else show_moment(terms.due)
    entry.kind, entry.branch, entry.department = terms.kind, terms.branch, terms.department
    entry.responsible, entry.call_list = terms.responsible, terms.call_list
    entry.people = sorted(people)
    entry.turn = f"{due}|{entry.id}"
    waiting = timers(terms, entry) if entry.status == "open" and not entry.removed else []
    entry.due_at = waiting[0].at if waiting else None
    return entry


def _planned(event: Event, data: Planned) -> AgendaEntry:
    return AgendaEntry(
        id=data.task,
        generation=1,
        customer=event.light.subject,
        status="open",
        kind=data.terms.kind,
        branch=None,
        department=None,
        people=[],
        responsible=None,
        call_list=None,
        turn="",
        due_at=None,
        terms=data.terms,
        origin=data.origin,
        words=data.words,
        planned=event.time,
        giver=None,
        taker=None,
    )


def _continued(entry: AgendaEntry | None, event: Event, data: Continued) -> AgendaEntry:
    return AgendaEntry(
        id=data.task,
        rev=0 if entry is None else entry.rev,
        versions={} if entry is None else entry.versions,
        generation=data.generation,
        customer=event.light.subject,
        status=data.status,
        kind=data.terms.kind,
        branch=None,
        department=None,
        people=[],
        responsible=None,
        call_list=None,
        turn="",
        due_at=None,
        terms=data.terms,
        origin=data.origin,
        words=data.words,
        planned=event.time if entry is None else min(entry.planned, event.time),
        giver=None if data.handed is None else data.handed.giver,
        taker=None if data.handed is None else data.handed.taker,
        outcome=data.outcome,
        reminded=data.reminded,
        overdue=data.overdue,
        escalated=data.escalated,
        escalated_to=data.escalated_to,
    )


AGENDA: Projection[AgendaEntry] = Projection(
    name="agenda_v1",
    topics=(topic_of(TaskPlanned.type, "interaction"),),
    reads={
        TaskPlanned.type: Planned,
        TaskChanged.type: Changed,
        TaskCompleted.type: Completed,
        TaskCancelled.type: Cancelled,
        TaskReopened.type: Reopened,
        TaskReminded.type: Reminded,
        TaskOverdue.type: Overdue,
        TaskEscalated.type: Escalated,
        TaskTransferred.type: Transferred,
        TaskContinued.type: Continued,
    },
    document=AgendaEntry,
    target=_target,
    apply=apply,
    gapless=True,
    indexes=(
        (("due_at", 1),),
        (("status", 1), ("turn", 1)),
        (("people", 1), ("status", 1), ("turn", 1)),
        (("branch", 1), ("status", 1), ("turn", 1)),
        (("customer", 1), ("turn", 1)),
        (("call_list", 1), ("turn", 1)),
        (("responsible", 1), ("status", 1)),
        (("giver", 1), ("status", 1)),
    ),
)
