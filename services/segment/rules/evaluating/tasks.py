"""Verdicts of clauses about tasks.

Time alone makes a task overdue, and makes one count no more whose beginning or end leaves a window.
"""

from collections.abc import Iterator

from services.segment.rules.dealings import GONE, Task, TaskStand
from services.segment.rules.evaluating.lasting import Lasting, counted, until, within
from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.tasks import Tasks, TaskWhere
from services.segment.rules.view import View


def tasks(rule: Tasks, view: View, at: int) -> Verdict:
    """How many tasks there are."""
    return counted(
        rule.compare.bounds,
        (
            Lasting(value=True, next=None) if rule.where is None else passes(task, rule.where, at)
            for task in tasks_of(view)
        ),
    )


def tasks_of(view: View) -> Iterator[Task]:
    """The tasks that concern the customer."""
    for task in view.known.every(Task).values():
        if task.planned is not None and task.stand is not None and task.stand.state != GONE:
            yield task


def passes(task: Task, where: TaskWhere, at: int) -> Lasting:
    """Whether a task satisfies every filter, and until when time leaves it so."""
    stand = task.stand
    if stand is None or not _stands(stand, where) or not _is_about(task, where):
        return Lasting(value=False, next=None)
    parts = []
    if where.state == "overdue":
        due = None if task.terms is None else task.terms.due
        parts.append(Lasting(value=False, next=None) if due is None else until(due, at))
    if where.planning is not None:
        parts.append(within(task.planned, where.planning, at))
    if where.ending is not None:
        parts.append(within(stand.ended, where.ending, at))
    return Lasting.all_of(parts)


def _stands(stand: TaskStand, where: TaskWhere) -> bool:
    wanted = "open" if where.state == "overdue" else where.state
    return (wanted is None or stand.state == wanted) and (
        where.outcome is None or stand.outcome in where.outcome
    )


def _is_about(task: Task, where: TaskWhere) -> bool:
    if where.kind is None and where.responsible is None and where.branch is None:
        return True
    terms = task.terms
    return terms is not None and (
        (where.kind is None or terms.kind in where.kind)
        and (where.responsible is None or terms.responsible in where.responsible)
        and (where.branch is None or terms.branch in where.branch)
    )
