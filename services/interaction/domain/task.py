"""A task as its stream has it.

Where its customer is merged the stream ends and the task goes on in another one, `task-<id>-2` and
so on. The version that callers see grows through all of them, so that what was read before the
move is never taken for what came after.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.events.contract import EventData
from shared.events.task import (
    HandOver,
    Series,
    TaskCancelled,
    TaskChanged,
    TaskCompleted,
    TaskContinued,
    TaskEscalated,
    TaskMerge,
    TaskOrigin,
    TaskOutcome,
    TaskOverdue,
    TaskPlanned,
    TaskReminded,
    TaskReopened,
    TaskStatus,
    TaskTerms,
    TaskTransferred,
    TaskWord,
    TaskWords,
)

TASK_STREAM = "task-"
ID_CHARACTERS = 36
"""Of the id in the name of a stream; the number of a later stream stands behind it."""
GENERATION_VERSIONS = 1_000_000
"""More than any stream of a task has events."""
NO_TERMS = TaskTerms(kind="todo", since=datetime(1970, 1, 1, tzinfo=UTC))
NO_WORDS = TaskWords()
BY_PERSON = TaskOrigin(kind="person")


def task_stream(task: str, generation: int = 1) -> str:
    """The stream of a task, of its first customer or of a later one."""
    return f"{TASK_STREAM}{task}" if generation == 1 else f"{TASK_STREAM}{task}-{generation}"


def generation_of(stream: str, task: str) -> int:
    """Which of the task's streams it is, from 1."""
    rest = stream.removeprefix(task_stream(task))
    return int(rest[1:]) if rest else 1


def task_version(stream: str, task: str, version: int) -> int:
    """The version of the task that a version of one of its streams is."""
    return (generation_of(stream, task) - 1) * GENERATION_VERSIONS + version


@dataclass(frozen=True, slots=True)
class Task:
    """What decisions need to know. `version` counts the events of this stream.

    `reminded`, `overdue` and `escalated` hold the agreed moments that have passed and were told.
    """

    version: int = 0
    id: str = ""
    generation: int = 1
    status: TaskStatus = "open"
    terms: TaskTerms = NO_TERMS
    words: TaskWords = NO_WORDS
    origin: TaskOrigin = BY_PERSON
    series: Series | None = None
    outcome: TaskOutcome | None = None
    reminded: tuple[datetime, ...] = ()
    overdue: datetime | None = None
    escalated: datetime | None = None
    escalated_to: str | None = None
    handed: HandOver | None = None
    merges: tuple[TaskMerge, ...] = ()
    moved: TaskTransferred | None = None

    @property
    def planned(self) -> bool:
        """Whether there is one."""
        return self.version > 0

    @property
    def task_version(self) -> int:
        """The version that callers see."""
        return (self.generation - 1) * GENERATION_VERSIONS + self.version


def evolve(state: Task, data: EventData) -> Task:
    """The task after an event."""
    state = replace(state, version=state.version + 1)
    match data:
        case TaskPlanned():
            return replace(
                state,
                id=data.task,
                terms=data.terms,
                words=data.words,
                origin=data.origin,
                series=data.series,
            )
        case TaskContinued():
            return _continued(state, data)
        case TaskChanged():
            return _changed(state, data)
        case TaskTransferred():
            return replace(state, moved=data)
        case TaskCompleted() | TaskCancelled() | TaskReopened():
            return _settled(state, data)
        case TaskReminded() | TaskOverdue() | TaskEscalated():
            return _passed(state, data)
        case _:
            message = f"a task has no event {data.type}"
            raise TypeError(message)


def _changed(state: Task, data: TaskChanged) -> Task:
    terms = data.terms or state.terms
    same = terms.responsible == state.terms.responsible
    put_off = terms.due != state.terms.due
    return replace(
        state,
        terms=terms,
        escalated_to=None if put_off else state.escalated_to,
        words=worded(state.words, data.words, data.cleared),
        series=None if terms.recurrence is None else data.series or state.series,
        handed=state.handed if same else data.handed,
    )


def _settled(state: Task, data: TaskCompleted | TaskCancelled | TaskReopened) -> Task:
    match data:
        case TaskCompleted():
            outcome = TaskOutcome(
                at=data.at,
                by=data.by,
                outcome=data.outcome,
                text=data.text,
                answers=data.answers,
            )
            return replace(state, status="completed", outcome=outcome)
        case TaskCancelled():
            outcome = TaskOutcome(at=data.at, by=data.by, outcome=data.reason)
            return replace(state, status="cancelled", outcome=outcome)
        case TaskReopened(at=at):
            since = max(at or state.terms.since, state.terms.since)
            terms = state.terms.model_copy(update={"since": since})
            return replace(state, status="open", outcome=None, terms=terms)


def _passed(state: Task, data: TaskReminded | TaskOverdue | TaskEscalated) -> Task:
    match data:
        case TaskReminded(reminder=moment):
            return replace(state, reminded=(*state.reminded, moment))
        case TaskOverdue(due=moment):
            return replace(state, overdue=moment)
        case TaskEscalated(deadline=moment, to=to):
            return replace(state, escalated=moment, escalated_to=to)


def _continued(state: Task, data: TaskContinued) -> Task:
    return replace(
        state,
        id=data.task,
        generation=data.generation,
        status=data.status,
        terms=data.terms,
        words=data.words,
        origin=data.origin,
        series=data.series,
        outcome=data.outcome,
        reminded=data.reminded,
        overdue=data.overdue,
        escalated=data.escalated,
        escalated_to=data.escalated_to,
        handed=data.handed,
        merges=data.merges,
    )


def worded(words: TaskWords, changed: TaskWords, cleared: tuple[TaskWord, ...]) -> TaskWords:
    """The texts after a change."""
    gone: dict[str, str | None] = dict.fromkeys(cleared)
    return words.model_copy(update={**gone, **changed.model_dump(exclude_none=True)})
