"""Clauses about the tasks that concern the customer."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from services.segment.rules.instants import span
from services.segment.rules.language.forms import (
    Comparison,
    Form,
    Leaf,
    Names,
    Several,
    Span,
    require_count,
    wrong,
)
from shared.events.task import TaskKind

TASKS = "tasks"
"""What a task touches that is planned, ends, is opened again, or goes to another customer."""
TASKS_TERMS = "tasks terms"
"""What a task touches of which something else is to be done, by somebody else or at another time"""


class TaskWhere(Form):
    """Which tasks count: those that satisfy every filter that is given.

    Of names, any of those that are given. An overdue task is open, and its due moment has come.
    `outcome` is how a completed one ended, or why one was cancelled. `planned` and `ended`: that
    lies within the span.
    """

    state: Literal["open", "overdue", "completed", "cancelled"] | None = None
    kind: Annotated[tuple[TaskKind, ...], Several] | None = Field(default=None, min_length=1)
    responsible: Names | None = None
    branch: Names | None = None
    outcome: Names | None = None
    planned: Span | None = None
    ended: Span | None = None

    @model_validator(mode="after")
    def _can_be_true(self) -> Self:
        if self.state in {"open", "overdue"}:
            for place in ("outcome", "ended"):
                if getattr(self, place) is not None:
                    raise wrong(place, f"an {self.state} task has not ended: leave out one of them")
        return self

    @cached_property
    def of_terms(self) -> bool:
        """Whether it asks what is to be done, by whom, where and when."""
        asked = (self.kind, self.responsible, self.branch)
        return self.state == "overdue" or any(each is not None for each in asked)

    @cached_property
    def planning(self) -> int | None:
        """The milliseconds of `planned`."""
        return None if self.planned is None else span(self.planned)

    @cached_property
    def ending(self) -> int | None:
        """The milliseconds of `ended`."""
        return None if self.ended is None else span(self.ended)


class Tasks(Leaf):
    """The number of tasks that concern the customer, those that have ended included."""

    kind: Literal["tasks"]
    where: TaskWhere | None = None
    compare: Comparison

    @model_validator(mode="after")
    def _a_number_is_not_below_zero(self) -> Self:
        require_count(self.compare)
        return self

    def reads(self) -> Iterator[str]:
        """That there are tasks and where they stand, and of the rest what is filtered by."""
        yield TASKS
        if self.where is not None and self.where.of_terms:
            yield TASKS_TERMS
