"""What is read of events of tasks."""

from datetime import datetime

import msgspec


class Reminder(msgspec.Struct, frozen=True, omit_defaults=True):
    """When somebody is reminded."""

    at: datetime | None = None
    before: str | None = None


class Recurrence(msgspec.Struct, frozen=True, omit_defaults=True):
    """How it comes again."""

    every: str
    until: datetime | None = None


class Escalation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who has to know when it is overdue for so long."""

    after: str
    employee: str | None = None
    position: str | None = None


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question to be asked while it is done."""

    question: str
    text: str
    choices: list[str] = msgspec.field(default_factory=list)
    required: bool = False


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be done, by whom and when."""

    kind: str
    since: datetime
    responsible: str | None = None
    department: str | None = None
    branch: str | None = None
    due: datetime | None = None
    reminders: list[Reminder] = msgspec.field(default_factory=list)
    recurrence: Recurrence | None = None
    priority: str = "normal"
    escalation: Escalation | None = None
    script: str | None = None
    questionnaire: list[Question] = msgspec.field(default_factory=list)
    call_list: str | None = None


class Words(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Its texts, sealed."""

    title: str | None = None
    notes: str | None = None


class Origin(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Why there is the task."""

    kind: str
    name: str | None = None
    event: str | None = None
    how: str | None = None


class HandOver(msgspec.Struct, frozen=True, gc=False):
    """Who left, and who does it instead."""

    giver: str
    taker: str
    leaving: str


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """How it ended; text and answers are sealed."""

    at: datetime
    by: str | None = None
    outcome: str | None = None
    text: str | None = None
    answers: dict[str, str] | None = None
    next_task: str | None = None


NO_WORDS = Words()


class Planned(msgspec.Struct, frozen=True):
    """Of `task.planned`."""

    task: str
    terms: Terms
    origin: Origin
    words: Words = NO_WORDS


class Changed(msgspec.Struct, frozen=True):
    """Of `task.changed`."""

    task: str
    terms: Terms | None = None
    words: Words = NO_WORDS
    cleared: list[str] = msgspec.field(default_factory=list)
    handed: HandOver | None = None


class Completed(msgspec.Struct, frozen=True):
    """Of `task.completed`."""

    task: str
    at: datetime
    by: str | None = None
    outcome: str | None = None
    text: str | None = None
    answers: dict[str, str] | None = None
    next_task: str | None = None


class Cancelled(msgspec.Struct, frozen=True):
    """Of `task.cancelled`."""

    task: str
    at: datetime
    reason: str
    by: str | None = None
    next_task: str | None = None


class Reopened(msgspec.Struct, frozen=True):
    """Of `task.reopened`."""

    task: str
    at: datetime | None = None


class Reminded(msgspec.Struct, frozen=True):
    """Of `task.reminded`."""

    reminder: datetime


class Overdue(msgspec.Struct, frozen=True):
    """Of `task.overdue`."""

    due: datetime


class Escalated(msgspec.Struct, frozen=True):
    """Of `task.escalated`."""

    deadline: datetime
    to: str | None = None


class Transferred(msgspec.Struct, frozen=True):
    """Of `task.transferred`."""

    task: str


class Continued(msgspec.Struct, frozen=True):
    """Of `task.continued`."""

    task: str
    generation: int
    status: str
    terms: Terms
    origin: Origin
    words: Words = NO_WORDS
    outcome: Outcome | None = None
    reminded: list[datetime] = msgspec.field(default_factory=list)
    overdue: datetime | None = None
    escalated: datetime | None = None
    escalated_to: str | None = None
    handed: HandOver | None = None
