"""What events say of deals and tasks, in words: each part that an event tells, and no more.

A deal or task that is transferred is this customer's no longer; continued, it is told whole. Both
follow from a merge or its revert, and triggers pass over what they change.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from services.segment.rules.dealings import (
    GONE,
    Deal,
    DealHolder,
    DealStand,
    DealTerms,
    Task,
    TaskStand,
    TaskTerms,
)
from services.segment.rules.instants import instant
from services.segment.rules.saying import along
from shared.envelope import Light, Zoned
from shared.events import deal, task


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What a deal is about."""

    amount: int
    deal_type: str | None = None
    source: str | None = None
    branch: str | None = None


class Opened(msgspec.Struct, frozen=True, gc=False):
    """Of `deal.opened`."""

    deal: str
    pipeline: str
    stage: str
    terms: Terms
    responsible: str | None = None


class DealChanged(msgspec.Struct, frozen=True, gc=False):
    """Of `deal.changed`."""

    deal: str
    terms: Terms | None = None


class Moved(msgspec.Struct, frozen=True, gc=False):
    """Of `deal.stage_moved`, `deal.won`, `deal.lost` and `deal.reopened`."""

    deal: str
    pipeline: str
    stage: str


class Assigned(msgspec.Struct, frozen=True, gc=False):
    """Of `deal.responsible_assigned`."""

    deal: str
    responsible: str | None = None


class DealTransferred(msgspec.Struct, frozen=True, gc=False):
    """Of `deal.transferred`."""

    deal: str


class Visit(msgspec.Struct, frozen=True, gc=False):
    """A stay in a stage."""

    entered: Zoned


class DealContinued(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Of `deal.continued`."""

    deal: str
    pipeline: str
    stage: str
    status: str
    visits: tuple[Visit, ...]
    terms: Terms
    responsible: str | None = None
    opened: Zoned
    closed: Zoned | None = None


class Agreed(msgspec.Struct, frozen=True, gc=False):
    """The terms of a task; `since` is when they were agreed."""

    kind: str
    responsible: str | None = None
    branch: str | None = None
    due: Zoned | None = None
    since: Zoned | None = None


class Planned(msgspec.Struct, frozen=True, gc=False):
    """Of `task.planned`."""

    task: str
    terms: Agreed


class TaskChanged(msgspec.Struct, frozen=True, gc=False):
    """Of `task.changed`."""

    task: str
    terms: Agreed | None = None


class Completed(msgspec.Struct, frozen=True, gc=False):
    """Of `task.completed`."""

    task: str
    outcome: str | None = None


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """Of `task.cancelled`."""

    task: str
    reason: str


class Reopened(msgspec.Struct, frozen=True, gc=False):
    """Of `task.reopened`."""

    task: str


class TaskTransferred(msgspec.Struct, frozen=True, gc=False):
    """Of `task.transferred`."""

    task: str


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How a task ended."""

    at: Zoned
    outcome: str | None = None


class TaskContinued(msgspec.Struct, frozen=True, gc=False):
    """Of `task.continued`."""

    task: str
    status: str
    terms: Agreed
    outcome: Outcome | None = None


READS: Mapping[str, type[msgspec.Struct]] = {
    deal.DealOpened.type: Opened,
    deal.DealChanged.type: DealChanged,
    deal.DealStageMoved.type: Moved,
    deal.DealWon.type: Moved,
    deal.DealLost.type: Moved,
    deal.DealReopened.type: Moved,
    deal.DealResponsibleAssigned.type: Assigned,
    deal.DealTransferred.type: DealTransferred,
    deal.DealContinued.type: DealContinued,
    task.TaskPlanned.type: Planned,
    task.TaskChanged.type: TaskChanged,
    task.TaskCompleted.type: Completed,
    task.TaskCancelled.type: Cancelled,
    task.TaskReopened.type: Reopened,
    task.TaskTransferred.type: TaskTransferred,
    task.TaskContinued.type: TaskContinued,
}
"""The types that tell of deals and tasks → what is read of their data."""

CHANGES_HANDS = (DealTransferred, DealContinued, TaskTransferred, TaskContinued)
"""What follows from a merge or its revert."""

_CLOSING = {deal.DealWon.type: "won", deal.DealLost.type: "lost"}


def dealing_of(light: Light, data: object) -> Sequence[Deal | Task] | None:
    """What an event says; None where it is none of these."""
    say = _SAYINGS.get(type(data))
    if say is None:
        return None
    told = say(data, light)
    return () if told is None else (told,)


def _time(light: Light) -> int:
    return min(instant(light.time), instant(light.recordedtime))


def _known_at(moment: datetime, light: Light) -> int:
    return min(instant(moment), instant(light.recordedtime))


def _version(light: Light, name: str) -> int:
    return along(light.stream, name, light.streamversion)


def _terms(terms: Terms, version: int) -> DealTerms:
    return DealTerms(version, terms.amount, terms.deal_type, terms.source, terms.branch)


def _opened(data: Opened, light: Light) -> Deal:
    at, version = _time(light), _version(light, data.deal)
    return Deal(
        data.deal,
        at,
        _terms(data.terms, version),
        DealStand(version, "open", data.pipeline, data.stage, at),
        DealHolder(version, data.responsible),
    )


def _deal_changed(data: DealChanged, light: Light) -> Deal | None:
    if data.terms is None:
        return None
    return Deal(data.deal, terms=_terms(data.terms, _version(light, data.deal)))


def _moved(data: Moved, light: Light) -> Deal:
    at, version = _time(light), _version(light, data.deal)
    state = _CLOSING.get(light.type, "open")
    closed = None if state == "open" else at
    return Deal(data.deal, stand=DealStand(version, state, data.pipeline, data.stage, at, closed))


def _assigned(data: Assigned, light: Light) -> Deal:
    return Deal(data.deal, holder=DealHolder(_version(light, data.deal), data.responsible))


def _deal_transferred(data: DealTransferred, light: Light) -> Deal:
    return Deal(data.deal, stand=DealStand(_version(light, data.deal), GONE))


def _deal_continued(data: DealContinued, light: Light) -> Deal:
    version = _version(light, data.deal)
    since = max((_known_at(visit.entered, light) for visit in data.visits), default=_time(light))
    closed = None if data.closed is None else _known_at(data.closed, light)
    return Deal(
        data.deal,
        _known_at(data.opened, light),
        _terms(data.terms, version),
        DealStand(version, data.status, data.pipeline, data.stage, since, closed),
        DealHolder(version, data.responsible),
    )


def _agreed(terms: Agreed, version: int) -> TaskTerms:
    due = None if terms.due is None else instant(terms.due)
    return TaskTerms(version, terms.kind, terms.responsible, terms.branch, due)


def _planned(data: Planned, light: Light) -> Task:
    version = _version(light, data.task)
    return Task(data.task, _time(light), _agreed(data.terms, version), TaskStand(version, "open"))


def _task_changed(data: TaskChanged, light: Light) -> Task | None:
    if data.terms is None:
        return None
    return Task(data.task, terms=_agreed(data.terms, _version(light, data.task)))


def _completed(data: Completed, light: Light) -> Task:
    version = _version(light, data.task)
    return Task(data.task, stand=TaskStand(version, "completed", _time(light), data.outcome))


def _cancelled(data: Cancelled, light: Light) -> Task:
    version = _version(light, data.task)
    return Task(data.task, stand=TaskStand(version, "cancelled", _time(light), data.reason))


def _reopened(data: Reopened, light: Light) -> Task:
    return Task(data.task, stand=TaskStand(_version(light, data.task), "open"))


def _task_transferred(data: TaskTransferred, light: Light) -> Task:
    return Task(data.task, stand=TaskStand(_version(light, data.task), GONE))


def _task_continued(data: TaskContinued, light: Light) -> Task:
    version, outcome = _version(light, data.task), data.outcome
    ended = None if outcome is None else _known_at(outcome.at, light)
    how = None if outcome is None else outcome.outcome
    # When it was planned is not told again; when its terms were agreed is not before that.
    planned = _time(light) if data.terms.since is None else _known_at(data.terms.since, light)
    return Task(
        data.task,
        planned,
        _agreed(data.terms, version),
        TaskStand(version, data.status, ended, how),
    )


_SAYINGS: Mapping[type, Callable[[Any, Light], Deal | Task | None]] = {
    Opened: _opened,
    DealChanged: _deal_changed,
    Moved: _moved,
    Assigned: _assigned,
    DealTransferred: _deal_transferred,
    DealContinued: _deal_continued,
    Planned: _planned,
    TaskChanged: _task_changed,
    Completed: _completed,
    Cancelled: _cancelled,
    Reopened: _reopened,
    TaskTransferred: _task_transferred,
    TaskContinued: _task_continued,
}
