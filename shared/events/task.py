"""Events of tasks, and of what the chain has agreed on for them.

A task is found by one id for ever. Its stream is `task-<id>`, and its key the customer whom it
concerns; where that customer is merged it goes on in `task-<id>-2` and so on, since a stream never
changes its key. A task that concerns no customer has its stream for key, and a key of that name
seals its texts.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.configuration import Name
from shared.events.contract import EventData, Moment, Part, Pii, open_list

TaskKind = Literal["call", "meeting", "todo", "request", "confirmation"]
Priority = Literal["low", "normal", "high", "urgent"]
OriginKind = Literal["person", "rule", "robot", "confirmation", "call_list", "recurrence"]
TaskStatus = Literal["open", "completed", "cancelled"]
TaskWord = Literal["title", "notes"]

AnyTaskKind = Annotated[TaskKind, open_list("what is to be done; `request`: what a customer asked")]


class Reminder(Part):
    """When somebody is reminded: at a moment, or so long before the task is due."""

    at: Moment | None = None
    before: str | None = Field(default=None, description="ISO 8601 duration, of days to minutes")


class Recurrence(Part):
    """The task comes again: done or dropped, the next one is planned."""

    every: str = Field(description="ISO 8601 duration: `P1D`, `P2W`, `P1M`, `P1Y`")
    until: Moment | None = Field(default=None, description="none is due later; absent: for ever")


class Escalation(Part):
    """Who has to know of it when the task is overdue for so long: an employee, or a position."""

    after: str = Field(description="ISO 8601 duration after the task is due")
    employee: str | None = None
    position: str | None = Field(
        default=None, description="somebody of this position at the task's branch"
    )


class Question(Part):
    """A question to be asked while the task is done."""

    question: Name
    text: str
    choices: tuple[str, ...] = Field(default=(), description="none: any answer")
    required: bool = False


class TaskOrigin(Part):
    """Why there is the task."""

    kind: Annotated[OriginKind, open_list("who or what planned it")]
    name: str | None = Field(
        default=None, description="of the rule or robot, the field to be confirmed, the task before"
    )
    event: str | None = Field(default=None, description="id of the event that it follows from")
    how: str | None = Field(default=None, description="of a confirmation: how it is asked")


class Series(Part):
    """Where a recurring task stands: the moments are `since` plus whole times the period."""

    first: str = Field(description="id of the first task")
    since: Moment = Field(description="when the first one was due")
    number: int = Field(ge=0, description="periods since then")


class TaskTerms(Part):
    """What is to be done, by whom and when; told whole."""

    kind: AnyTaskKind
    responsible: str | None = Field(default=None, description="an employee; absent: nobody yet")
    department: str | None = None
    branch: str | None = None
    due: Moment | None = None
    since: Moment = Field(description="when this was agreed: no timer is earlier")
    reminders: tuple[Reminder, ...] = ()
    recurrence: Recurrence | None = None
    priority: Annotated[Priority, open_list("how urgent it is")] = "normal"
    escalation: Escalation | None = None
    script: str | None = Field(default=None, description="what to say, the same for everybody")
    questionnaire: tuple[Question, ...] = ()
    call_list: str | None = None


class TaskWords(Part):
    """What is written of one task."""

    title: Pii | None = None
    notes: Pii | None = None


class HandOver(Part):
    """A task that somebody else does now, since its responsible has left."""

    giver: str
    taker: str
    leaving: str = Field(description="id of the event that the giver left by")


class TaskPlanned(EventData):
    """Something is to be done; concerning a customer, or nobody."""

    type: ClassVar[str] = "task.planned.v1"
    task: str
    terms: TaskTerms
    words: TaskWords = TaskWords()
    origin: TaskOrigin
    series: Series | None = None
    by: str | None = Field(default=None, description="employee, or id of the principal")


class TaskChanged(EventData):
    """What is to be done is different."""

    type: ClassVar[str] = "task.changed.v1"
    task: str
    terms: TaskTerms | None = Field(default=None, description="whole; absent: as before")
    words: TaskWords = Field(default=TaskWords(), description="only those that changed")
    cleared: tuple[TaskWord, ...] = Field(default=(), description="texts that are gone")
    series: Series | None = Field(default=None, description="of a recurrence that is new")
    handed: HandOver | None = Field(default=None, description="the responsible left")
    given_back: str | None = Field(default=None, description="`leaving` that is undone")
    by: str | None = None


class TaskCompleted(EventData):
    """It was done; `at` is the envelope's time."""

    type: ClassVar[str] = "task.completed.v1"
    task: str
    at: Moment
    by: str | None = None
    outcome: str | None = Field(default=None, description="a word, e.g. `reached`, `no_answer`")
    text: Pii | None = None
    answers: dict[str, Pii] | None = Field(default=None, description="question → answer")
    next: Moment | None = Field(default=None, description="when the next of the series is due")
    next_task: str | None = Field(default=None, description="id of the next of the series")
    next_number: int | None = Field(default=None, description="its `number` in `Series`")


class TaskCancelled(EventData):
    """It will not be done; `at` is the envelope's time."""

    type: ClassVar[str] = "task.cancelled.v1"
    task: str
    at: Moment
    by: str | None = None
    reason: str = Field(description="a word, e.g. `not_needed`; `erased`, `confirmed`")
    next: Moment | None = Field(default=None, description="when the next of the series is due")
    next_task: str | None = Field(default=None, description="id of the next of the series")
    next_number: int | None = Field(default=None, description="its `number` in `Series`")


class TaskReopened(EventData):
    """It has to be done after all."""

    type: ClassVar[str] = "task.reopened.v1"
    task: str
    at: Moment | None = Field(default=None, description="no timer that is left is earlier")
    by: str | None = None


class TaskReminded(EventData):
    """Whoever does it is reminded now."""

    type: ClassVar[str] = "task.reminded.v1"
    task: str
    reminder: Moment = Field(description="the moment that was agreed")
    responsible: str | None = None


class TaskOverdue(EventData):
    """Its due moment passed, and it was not done."""

    type: ClassVar[str] = "task.overdue.v1"
    task: str
    due: Moment
    responsible: str | None = None


class TaskEscalated(EventData):
    """It is overdue for so long that somebody else has to know."""

    type: ClassVar[str] = "task.escalated.v1"
    task: str
    deadline: Moment = Field(description="the moment that was agreed")
    to: str | None = Field(default=None, description="absent: nobody has that position")
    responsible: str | None = None


class TaskTransferred(EventData):
    """The stream ends here: the task goes on in another one, with another customer."""

    type: ClassVar[str] = "task.transferred.v1"
    task: str
    stream: str = Field(description="where it goes on")
    customer: str = Field(description="whom it concerns from now on")
    merge: str = Field(description="id of the merge that is followed, or undone")


class TaskMerge(Part):
    """A merge that brought the task along, and whom it had concerned before."""

    merge: str
    customer: str


class TaskOutcome(Part):
    """How a task ended."""

    at: Moment
    by: str | None = None
    outcome: str | None = Field(default=None, description="of a cancelled one the reason")
    text: Pii | None = None
    answers: dict[str, Pii] | None = None


class TaskContinued(EventData):
    """The stream begins with a task that concerned another customer: all of it as it is now.

    Sealed values keep the key and the place of their first stream.
    """

    type: ClassVar[str] = "task.continued.v1"
    task: str
    generation: int = Field(ge=2, description="number of the task's streams, this one included")
    merge: str
    merges: tuple[TaskMerge, ...] = Field(description="merges that still hold, the latest last")
    status: Annotated[TaskStatus, open_list("whether it is done")]
    terms: TaskTerms
    words: TaskWords = TaskWords()
    origin: TaskOrigin
    series: Series | None = None
    outcome: TaskOutcome | None = None
    reminded: tuple[Moment, ...] = Field(default=(), description="reminders that were")
    overdue: Moment | None = Field(default=None, description="the due moment that was passed")
    escalated: Moment | None = Field(default=None, description="the deadline that was passed")
    escalated_to: str | None = None
    handed: HandOver | None = None


class TaskRulesDefined(EventData):
    """What the chain has agreed on for all tasks; told whole."""

    type: ClassVar[str] = "task.rules_defined.v1"
    zone: str = Field(description="IANA name: whose day `today` is where no branch says it")
    escalation: Escalation | None = Field(
        default=None, description="of tasks that are planned from now on and have none"
    )
    by: str | None = None


EVENTS: tuple[type[EventData], ...] = (
    TaskPlanned,
    TaskChanged,
    TaskCompleted,
    TaskCancelled,
    TaskReopened,
    TaskReminded,
    TaskOverdue,
    TaskEscalated,
    TaskTransferred,
    TaskContinued,
    TaskRulesDefined,
)
