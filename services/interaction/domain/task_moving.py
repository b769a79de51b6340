"""A task goes on with another customer: the end of its stream and the beginning of the next.

Both are one transaction, and rest on the stream as it is: whatever is said of the task meanwhile
comes before the end, and is told in the beginning of the next stream; whatever comes later finds
the end. So nothing is stranded, and nothing is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.interaction.domain.task import Task
from services.interaction.domain.tasks import TASK, Continue, Transfer
from shared.decider import NewEvent
from shared.events.task import TaskContinued, TaskMerge
from shared.eventstore import Claim


@dataclass(frozen=True, slots=True)
class MoveTask:
    """Let a task go on in another stream, with another customer.

    `merges` are those that brought it there, as they are after the move.
    """

    source: str
    target: str
    customer: str
    merge: str
    merges: tuple[TaskMerge, ...]
    at: datetime


def decide(
    move: MoveTask, states: Mapping[str, Task], _claims: Mapping[str, Claim]
) -> Mapping[str, Sequence[NewEvent]]:
    """The end and the beginning; nothing where the task has gone already."""
    task, following = states[move.source], states[move.target]
    if not task.planned or task.moved is not None or following.planned:
        return {}
    ending = Transfer(
        task=task.id, at=move.at, stream=move.target, customer=move.customer, merge=move.merge
    )
    beginning = Continue(task=task.id, at=move.at, continued=_continued(move, task))
    return {
        move.source: TASK.decide(ending, task),
        move.target: TASK.decide(beginning, following),
    }


def _continued(move: MoveTask, task: Task) -> TaskContinued:
    return TaskContinued(
        task=task.id,
        generation=task.generation + 1,
        merge=move.merge,
        merges=move.merges,
        status=task.status,
        terms=task.terms,
        words=task.words,
        origin=task.origin,
        series=task.series,
        outcome=task.outcome,
        reminded=task.reminded,
        overdue=task.overdue,
        escalated=task.escalated,
        escalated_to=task.escalated_to,
        handed=task.handed,
    )
