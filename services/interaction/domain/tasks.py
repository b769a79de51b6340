"""Commands on tasks, and the events that follow from them.

What fell due before a command is told first, each at its own moment: a task that is done late was
overdue, whether or not anybody had looked at the clock meanwhile. So a sweeper that comes late, or
twice, changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never

from services.interaction.domain.task import BY_PERSON, NO_WORDS, Task, evolve
from services.interaction.domain.task_terms import (
    check_answers,
    check_terms,
    following,
    patched,
    series_of,
)
from services.interaction.domain.task_times import Timer, timers
from shared.decider import Decider, NewEvent, Refused, not_found
from shared.events.contract import show_moment
from shared.events.task import (
    HandOver,
    Series,
    TaskCancelled,
    TaskChanged,
    TaskCompleted,
    TaskContinued,
    TaskEscalated,
    TaskOrigin,
    TaskOverdue,
    TaskPlanned,
    TaskReminded,
    TaskReopened,
    TaskTerms,
    TaskTransferred,
    TaskWord,
    TaskWords,
)
from shared.ids import derived_id

MOVED = "task-moved"
"""The type of the refusal that tells where a task goes on: its `stream` is asked next."""
CONFIRMED = "confirmed"
"""The outcome of a confirmation that was given elsewhere."""
ERASED = "erased"
"""The reason why a task of somebody who was erased will not be done."""
UTC_ZONE = "UTC"


def whatever(_value: object) -> None:
    """Nothing is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCommand:
    """A command on one task.

    `by` is who wants it; `escalates_to` whom an escalation that is due by now goes to; `zone` in
    whose time of day a recurring task comes again. `may_touch` is asked with the task's branch and
    `rests_on` with the version that callers see; both may refuse.
    """

    task: str
    at: datetime
    by: str | None = None
    escalates_to: str | None = None
    zone: str = UTC_ZONE
    may_touch: Callable[[str | None], None] = whatever
    rests_on: Callable[[int], None] = whatever


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(TaskCommand):
    """Have something done; a task that is there already stays as it is."""

    terms: TaskTerms
    words: TaskWords = NO_WORDS
    origin: TaskOrigin = BY_PERSON
    series: Series | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(TaskCommand):
    """Say something else of the task; `words` are new texts, `cleared` those that go."""

    terms: Mapping[str, Any] = field(default_factory=dict)
    words: TaskWords = NO_WORDS
    cleared: tuple[TaskWord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete(TaskCommand):
    """It was done; `answers` are those to the questionnaire."""

    outcome: str | None = None
    text: str | None = None
    answers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm(TaskCommand):
    """What was to be confirmed is right: the task is done, if it is still open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(TaskCommand):
    """It will not be done; with `whole_series` none comes after it."""

    reason: str
    whole_series: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen(TaskCommand):
    """It has to be done after all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle(TaskCommand):
    """Tell what has fallen due up to `at`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOver(TaskCommand):
    """Its responsible has left: somebody else does it, if it is still open and still theirs."""

    handed: HandOver


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack(TaskCommand):
    """Its responsible is back: it is theirs again, if whoever took it over still has it."""

    giver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(TaskCommand):
    """End the stream: the task goes on in another one."""

    stream: str
    customer: str
    merge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue(TaskCommand):
    """Begin a stream with the task as it is."""

    continued: TaskContinued


Command = (
    Plan
    | Change
    | Complete
    | Confirm
    | Cancel
    | Reopen
    | Settle
    | TakeOver
    | GiveBack
    | Transfer
    | Continue
)
Data = TaskChanged | TaskCompleted | TaskCancelled | TaskReopened | TaskTransferred


def decide(command: Command, state: Task) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, Plan):
        return _planned(command, state)
    if isinstance(command, Continue):
        if state.planned:
            return ()
        continued = command.continued
        return (NewEvent(continued, command.at, continued.terms.branch),)
    if not state.planned:
        kind = "task"
        raise not_found(kind, command.task)
    if state.moved is not None:
        raise Refused(
            MOVED, 409, "The task goes on elsewhere.", extra={"stream": state.moved.stream}
        )
    command.may_touch(state.terms.branch)
    if isinstance(command, Settle):
        return _fallen_due(command, state, lambda timer: timer.at <= command.at)
    data = _decided(command, state)
    if data is None:
        return ()
    # After the no-op, so that the same change sent again is not taken for another one.
    command.rests_on(state.task_version)
    branch = state.terms.branch
    if isinstance(data, TaskChanged) and data.terms is not None:
        branch = data.terms.branch
    earlier = _fallen_due(command, state, lambda timer: timer.at < command.at)
    return (*earlier, NewEvent(data, command.at, branch))


def _fallen_due(
    command: TaskCommand, state: Task, is_due: Callable[[Timer], bool]
) -> Sequence[NewEvent]:
    if state.status != "open":
        return ()
    return [
        NewEvent(_told(command, state, timer), timer.at, state.terms.branch)
        for timer in timers(state.terms, state)
        if is_due(timer)
    ]


def _told(
    command: TaskCommand, state: Task, timer: Timer
) -> TaskReminded | TaskOverdue | TaskEscalated:
    responsible = state.terms.responsible
    match timer.kind:
        case "reminder":
            return TaskReminded(task=state.id, reminder=timer.agreed, responsible=responsible)
        case "overdue":
            return TaskOverdue(task=state.id, due=timer.agreed, responsible=responsible)
        case "escalation":
            to = command.escalates_to
            return TaskEscalated(
                task=state.id, deadline=timer.agreed, to=to, responsible=responsible
            )


def _planned(command: Plan, state: Task) -> Sequence[NewEvent]:
    if state.planned:
        return ()
    command.may_touch(command.terms.branch)
    check_terms(command.terms)
    planned = TaskPlanned(
        task=command.task,
        terms=command.terms,
        words=command.words,
        origin=command.origin,
        series=command.series or series_of(command.terms, command.task),
        by=command.by,
    )
    return (NewEvent(planned, command.at, command.terms.branch),)


def _decided(
    command: Change | Complete | Confirm | Cancel | Reopen | TakeOver | GiveBack | Transfer,
    state: Task,
) -> Data | None:
    match command:
        case Transfer(stream=stream, customer=customer, merge=merge):
            return TaskTransferred(task=state.id, stream=stream, customer=customer, merge=merge)
        case Change():
            return _changed(command, state)
        case Complete():
            return _completed(command, state)
        case Confirm():
            if state.status != "open":
                return None
            return _done(command, state, CONFIRMED)
        case Cancel():
            return _cancelled(command, state)
        case Reopen():
            return _reopened(command, state)
        case TakeOver() | GiveBack():
            return _handed(command, state)
        case _:
            assert_never(command)


def ended(state: Task) -> Refused:
    """The refusal of who comes late: it tells who was first, and when."""
    outcome = state.outcome
    assert outcome is not None  # noqa: S101 - what is not open has one
    at = show_moment(outcome.at)
    extra = {"ended_at": at} | ({} if outcome.by is None else {"ended_by": outcome.by})
    if state.status == "completed":
        kind, title = "task-completed", "The task is done already."
    else:
        kind, title = "task-cancelled", "The task was cancelled."
    return Refused(kind, 409, title, f"by {outcome.by or 'the chain'} at {at}", extra=extra)


def _require_open(state: Task) -> None:
    if state.status != "open":
        raise ended(state)


def _changed(command: Change, state: Task) -> TaskChanged | None:
    terms = patched(state.terms, command.terms, command.at)
    if terms.branch != state.terms.branch:
        command.may_touch(terms.branch)
    known = state.words.model_dump(exclude_none=True)
    wanted = command.words.model_dump(exclude_none=True)
    words = {name: text for name, text in wanted.items() if known.get(name) != text}
    cleared = tuple(each for each in command.cleared if each in known)
    if terms == state.terms and not words and not cleared:
        return None
    _require_open(state)
    check_terms(terms)
    again = terms.recurrence != state.terms.recurrence
    return TaskChanged(
        task=state.id,
        terms=None if terms == state.terms else terms,
        words=TaskWords(**words),
        cleared=cleared,
        series=series_of(terms, state.id) if again else None,
        by=command.by,
    )


def _completed(command: Complete, state: Task) -> TaskCompleted:
    _require_open(state)
    check_answers(state.terms.questionnaire, command.answers)
    done = _done(command, state, command.outcome)
    return done.model_copy(update={"text": command.text, "answers": dict(command.answers) or None})


def _done(command: TaskCommand, state: Task, outcome: str | None) -> TaskCompleted:
    return TaskCompleted(
        task=state.id,
        at=command.at,
        by=command.by,
        outcome=outcome,
        **_next(command, state),
    )


def _cancelled(command: Cancel, state: Task) -> TaskCancelled | None:
    if state.status == "cancelled":
        return None
    _require_open(state)
    over = command.whole_series or command.reason == ERASED
    return TaskCancelled(
        task=state.id,
        at=command.at,
        by=command.by,
        reason=command.reason,
        **({} if over else _next(command, state)),
    )


def _reopened(command: Reopen, state: Task) -> TaskReopened | None:
    if state.status == "open":
        return None
    outcome = state.outcome
    if state.status == "cancelled" and outcome is not None and outcome.outcome == ERASED:
        # Nobody is left for whom it could be done, and no key for what would be said of it.
        raise ended(state)
    return TaskReopened(task=state.id, at=command.at, by=command.by)


def _next(command: TaskCommand, state: Task) -> Mapping[str, Any]:
    """What an end says of the task that comes after it; nothing where none does."""
    coming = following(state.terms, state.series, command.at, command.zone)
    if coming is None:
        return {}
    number, due = coming
    # It follows from this task alone: done a second time, it has the same next one.
    name = derived_id("task", state.id, "next")
    return {"next": due, "next_task": name, "next_number": number}


def _handed(command: TakeOver | GiveBack, state: Task) -> TaskChanged | None:
    responsible = state.terms.responsible
    if state.status != "open" or responsible is None:
        return None
    match command:
        case TakeOver(handed=handed):
            if responsible != handed.giver:
                return None
            taken = state.terms.model_copy(update={"responsible": handed.taker})
            return TaskChanged(task=state.id, terms=taken, handed=handed)
        case GiveBack(giver=giver):
            known = state.handed
            if known is None or (known.giver, known.taker) != (giver, responsible):
                return None
            given = state.terms.model_copy(update={"responsible": giver})
            return TaskChanged(task=state.id, terms=given, given_back=known.leaving)


TASK: Decider[Command, Task] = Decider(Task, decide, evolve)
