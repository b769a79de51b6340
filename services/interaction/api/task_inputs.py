"""What callers send of tasks."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from services.interaction.domain.task_terms import MOST_QUESTIONS, MOST_REMINDERS
from services.interaction.handlers.incoming.forms import At, Branch, Input, Slug, Text
from shared.events.task import (
    Escalation,
    Priority,
    Question,
    Recurrence,
    Reminder,
    TaskWord,
    TaskWords,
)

LongText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5_000)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
Duration = Annotated[str, StringConstraints(max_length=20)]
Kind = Literal["call", "meeting", "todo", "request"]
Status = Literal["open", "completed", "cancelled"]
WORDS: tuple[TaskWord, ...] = ("title", "notes")
TERMS = (
    "kind",
    "responsible",
    "department",
    "branch",
    "due",
    "priority",
    "script",
)
MOST_CALLED = 10_000


def _is_free(reason: str) -> str:
    if reason in {"erased", "confirmed"}:
        message = "is what the chain itself says"
        raise ValueError(message)
    return reason


Reason = Annotated[Slug, AfterValidator(_is_free)]


class ReminderInput(Input):
    """When somebody is reminded: at a moment, or so long before the task is due."""

    at: At | None = None
    before: Duration | None = Field(default=None, description="such as PT15M, PT2H, P1D")


class RecurrenceInput(Input):
    """How it comes again: every day, week, month or year, at the same time of day."""

    every: Duration = Field(description="such as P1D, P2W, P1M, P1Y")
    until: At | None = None


class EscalationInput(Input):
    """Who has to know when it is overdue for so long."""

    after: Duration = Field(description="such as PT4H, P1D; from the due moment on")
    employee: Id | None = None
    position: Text | None = None

    def escalation(self) -> Escalation:
        """As the task keeps it."""
        return Escalation(**self.model_dump())


class QuestionInput(Input):
    """A question to be asked while it is done."""

    question: Slug
    text: LongText
    choices: tuple[Text, ...] = Field(default=(), max_length=50)
    required: bool = False


class CommonInput(Input):
    """What is to be done and when."""

    branch: Branch | None = None
    department: Text | None = None
    due: At | None = None
    reminders: tuple[ReminderInput, ...] = Field(default=(), max_length=MOST_REMINDERS)
    priority: Priority = "normal"
    escalation: EscalationInput | None = Field(
        default=None, description="left out: that of the chain; null: none"
    )
    script: LongText | None = None
    questionnaire: tuple[QuestionInput, ...] = Field(default=(), max_length=MOST_QUESTIONS)

    def terms(self) -> Mapping[str, Any]:
        """What was said of the terms; null clears."""
        said = self.model_fields_set
        patch: dict[str, Any] = {name: getattr(self, name) for name in TERMS if name in said}
        if "reminders" in said:
            patch["reminders"] = tuple(Reminder(**each.model_dump()) for each in self.reminders)
        if "questionnaire" in said:
            patch["questionnaire"] = tuple(
                Question(**each.model_dump()) for each in self.questionnaire
            )
        if "escalation" in said:
            to = self.escalation
            patch["escalation"] = None if to is None else to.escalation()
        return patch


class TermsInput(CommonInput):
    """What is to be done, by whom and when."""

    title: Text | None = None
    notes: LongText | None = None
    kind: Kind = "todo"
    responsible: Id | None = None
    recurrence: RecurrenceInput | None = None

    def terms(self) -> Mapping[str, Any]:
        """What was said of the terms; null clears."""
        patch = dict(super().terms())
        if "recurrence" in self.model_fields_set:
            again = self.recurrence
            patch["recurrence"] = None if again is None else Recurrence(**again.model_dump())
        return patch

    def words(self) -> TaskWords:
        """The texts that were said."""
        return TaskWords(title=self.title, notes=self.notes)


class TaskInput(TermsInput):
    """A task to be planned; concerning a customer, or nobody."""

    title: Text
    customer: Id | None = None


class TaskPatch(TermsInput):
    """What is different of a task; what is left out stays, null clears."""

    def cleared(self) -> tuple[TaskWord, ...]:
        """The texts that go."""
        return tuple(
            each for each in WORDS if each in self.model_fields_set and getattr(self, each) is None
        )


class CompletionInput(Input):
    """How it went."""

    outcome: Slug | None = Field(default=None, description="e.g. `reached`, `no_answer`")
    text: LongText | None = None
    answers: dict[Slug, LongText] = Field(
        default={}, max_length=MOST_QUESTIONS, description="question → answer"
    )


class CancellationInput(Input):
    """Why it will not be done."""

    reason: Reason = "not_needed"
    whole_series: bool = Field(default=False, description="of a recurring one: none comes after it")


class NoInput(Input):
    """Nothing needs to be said."""


class RulesInput(Input):
    """What the chain agrees on for all tasks."""

    zone: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="IANA name: whose day `today` is where no branch says it"
    )
    escalation: EscalationInput | None = None


class CallListInput(CommonInput):
    """A task for each member of a segment, or for each of these customers."""

    title: Text
    kind: Literal["call", "meeting", "todo"] = "call"
    segment: Slug | None = None
    customers: tuple[Id, ...] | None = Field(default=None, min_length=1, max_length=MOST_CALLED)
    responsibles: tuple[Id, ...] = Field(
        default=(), max_length=100, description="one after another; none: nobody yet"
    )

    @model_validator(mode="after")
    def _of_one_kind(self) -> "CallListInput":
        if (self.segment is None) == (self.customers is None):
            message = "say a segment or customers, and not both"
            raise ValueError(message)
        return self
