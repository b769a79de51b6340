"""Kafka in: what asks for tasks. A record that cannot be read is counted and passed over."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import get_args

import msgspec

from services.interaction.consumers.reacting import Subscription
from services.interaction.domain.task import ID_CHARACTERS, TASK_STREAM
from services.interaction.handlers.task_planning import (
    Asked,
    ByRobot,
    ByRule,
    NextOf,
    Planner,
    ToConfirm,
)
from shared.envelope import Light
from shared.events.care import ConfirmationOverdue, TaskRequested
from shared.events.deal import DealTaskRequested
from shared.events.task import TaskCancelled, TaskCompleted, TaskKind
from shared.hearing import heard
from shared.records import RawRecord

TOPICS = ("customer.events.v1", "deal.events.v1", "interaction.events.v1")
GROUP = "interaction.tasks"
READER = "tasks"
KINDS = frozenset(get_args(TaskKind))


class ByRuleData(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.task_requested`."""

    rule: str
    title: str
    due: datetime
    kind: str = "todo"
    employee: str | None = None


class ByRobotData(msgspec.Struct, frozen=True, gc=False):
    """Of `deal.task_requested`."""

    request: str
    deal: str
    robot: str
    title: str
    due: datetime


class ToConfirmData(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.confirmation_overdue`."""

    field: str
    how: str | None = None
    by: str | None = None


class EndedData(msgspec.Struct, frozen=True, gc=False):
    """Of `task.completed` and `task.cancelled`."""

    next: datetime | None = None
    next_task: str | None = None
    next_number: int | None = None


READS: Mapping[bytes, type[msgspec.Struct]] = MappingProxyType(
    {
        TaskRequested.type.encode(): ByRuleData,
        DealTaskRequested.type.encode(): ByRobotData,
        ConfirmationOverdue.type.encode(): ToConfirmData,
        TaskCompleted.type.encode(): EndedData,
        TaskCancelled.type.encode(): EndedData,
    }
)
_DECODERS = {kind: msgspec.json.Decoder(struct).decode for kind, struct in READS.items()}


def asked_of(records: Sequence[RawRecord]) -> list[Asked]:
    """What the records ask for, in their order."""
    found = []
    for _, light, data in heard(records, _DECODERS, READER):
        wanted = _wanted(light, data)
        if wanted is not None:
            found.append(
                Asked(
                    event=light.id,
                    time=light.time,
                    correlation=light.correlationid,
                    depth=light.causedepth,
                    wanted=wanted,
                    customer=light.subject,
                    branch=light.branch,
                )
            )
    return found


def _wanted(light: Light, data: object) -> ByRule | ByRobot | ToConfirm | NextOf | None:
    match data:
        case ByRuleData():
            # A kind that is newer than this service is still something to do.
            kind: TaskKind = data.kind if data.kind in KINDS else "todo"  # type: ignore[assignment]  # one of the literals
            return ByRule(data.rule, data.title, kind, data.due, data.employee)
        case ByRobotData():
            return ByRobot(data.request, data.deal, data.robot, data.title, data.due)
        case ToConfirmData():
            return ToConfirm(data.field, data.how, data.by)
        case EndedData(next=datetime() as due, next_task=str() as task, next_number=int() as at):
            ended = light.stream.removeprefix(TASK_STREAM)[:ID_CHARACTERS]
            return NextOf(ended, light.stream, task, due, at)
        case _:
            return None


def subscription(planner: Planner) -> Subscription:
    """What asks for tasks."""

    async def react(records: Sequence[RawRecord]) -> None:
        asked = asked_of(records)
        if asked:
            await planner.plan(asked)

    return Subscription(
        TOPICS,
        GROUP,
        react,
        "tasks",
        "What rules, robots, confirmations and recurring tasks ask for is planned.",
    )
