"""What may be agreed on for a task: its terms, and where a recurring one stands."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.interaction.domain.task_times import check_period, next_due, span_of
from shared.decider import FieldError, Refused, invalid
from shared.events.task import HandOver, Question, Series, TaskTerms

MOST_REMINDERS = 10
MOST_QUESTIONS = 50
SCHEDULE = frozenset({"due", "reminders", "escalation"})


def patched(terms: TaskTerms, patch: Mapping[str, Any], at: datetime) -> TaskTerms:
    """The terms after a change; timers that come of it are not earlier than the change."""
    said = {name: value for name, value in patch.items() if getattr(terms, name) != value}
    if said.keys() & SCHEDULE:
        said["since"] = at
    return terms.model_copy(update=said)


def check_terms(terms: TaskTerms) -> None:
    """Raise `Refused` that names what cannot be agreed on."""
    _check_reminders(terms)
    _check_recurrence(terms)
    _check_escalation(terms)
    if len(terms.questionnaire) > MOST_QUESTIONS:
        raise invalid("questionnaire", f"{MOST_QUESTIONS} questions at most")
    names = [each.question for each in terms.questionnaire]
    if len(set(names)) != len(names):
        raise invalid("questionnaire", "each question has a name of its own")


def _check_reminders(terms: TaskTerms) -> None:
    if len(terms.reminders) > MOST_REMINDERS:
        raise invalid("reminders", f"{MOST_REMINDERS} at most")
    for number, each in enumerate(terms.reminders):
        path = f"reminders.{number}"
        if (each.at is None) == (each.before is None):
            raise invalid(path, "say a moment, or how long before the task is due")
        if each.before is not None:
            span_of(each.before, f"{path}.before")
            _require_due(terms, f"{path}.before")


def _check_recurrence(terms: TaskTerms) -> None:
    if terms.recurrence is None:
        return
    check_period(terms.recurrence.every, "recurrence.every")
    _require_due(terms, "recurrence")


def _check_escalation(terms: TaskTerms) -> None:
    if terms.escalation is None:
        return
    span_of(terms.escalation.after, "escalation.after")
    _require_due(terms, "escalation")
    if (terms.escalation.employee is None) == (terms.escalation.position is None):
        raise invalid("escalation", "say an employee or a position, and not both")


def _require_due(terms: TaskTerms, path: str) -> None:
    if terms.due is None:
        raise invalid(path, "needs a task that is due at some moment")


def check_answers(questionnaire: Sequence[Question], answers: Mapping[str, str]) -> None:
    """Raise `Refused` that names each answer that is missing, or that is none."""
    known = {each.question: each for each in questionnaire}
    wrong = [
        FieldError(f"answers.{name}", "is no question of this task")
        for name in answers
        if name not in known
    ]
    for name, question in known.items():
        answer = answers.get(name)
        if answer is None and question.required:
            wrong.append(FieldError(f"answers.{name}", "has to be answered"))
        elif answer is not None and question.choices and answer not in question.choices:
            wrong.append(FieldError(f"answers.{name}", f"one of {', '.join(question.choices)}"))
    if wrong:
        raise Refused("invalid", 422, "The input is not valid.", errors=tuple(wrong))


def series_of(terms: TaskTerms, task: str) -> Series | None:
    """A series that begins with the task; None where it does not come again."""
    if terms.recurrence is None or terms.due is None:
        return None
    return Series(first=task, since=terms.due, number=0)


def following(
    terms: TaskTerms, series: Series | None, at: datetime, zone: str
) -> tuple[int, datetime] | None:
    """The number and due moment of the next in the series; None where there is none."""
    if terms.recurrence is None or series is None:
        return None
    return next_due(
        series.since,
        terms.recurrence.every,
        series.number,
        after=at,
        until=terms.recurrence.until,
        zone=zone,
    )


def next_terms(
    terms: TaskTerms, due: datetime, at: datetime, handed: HandOver | None = None
) -> TaskTerms:
    """What is agreed on for the next of a series: reminders at a moment were for this one alone.

    A series is still that of who has left: each of it is handed over anew, so that all that is
    left of it is given back on a return.
    """
    relative = tuple(each for each in terms.reminders if each.at is None)
    said = {"due": due, "since": at, "reminders": relative}
    if handed is not None:
        said["responsible"] = handed.giver
    return terms.model_copy(update=said)
