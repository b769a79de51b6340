"""What the chain has agreed on for all of its tasks; told whole each time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import available_timezones

from services.interaction.domain.task_times import span_of
from shared.decider import Decider, NewEvent, invalid
from shared.events.contract import EventData
from shared.events.task import Escalation, TaskRulesDefined

RULES_STREAM = "tasks"


@dataclass(frozen=True, slots=True)
class TaskRules:
    """Whose day `today` is where no branch says it, and the escalation of tasks that have none."""

    zone: str = "UTC"
    escalation: Escalation | None = None


@dataclass(frozen=True, slots=True)
class DefineRules:
    """Agree on something else."""

    at: datetime
    zone: str
    escalation: Escalation | None
    by: str | None = None


def decide(command: DefineRules, state: TaskRules) -> Sequence[NewEvent]:
    """The event, none where it is so already. Raises `Refused` that names what is wrong."""
    if command.zone not in available_timezones():
        raise invalid("zone", "the IANA name of a time zone, such as Europe/Moscow")
    escalation = command.escalation
    if escalation is not None:
        span_of(escalation.after, "escalation.after")
        if (escalation.employee is None) == (escalation.position is None):
            raise invalid("escalation", "say an employee or a position, and not both")
    if (command.zone, escalation) == (state.zone, state.escalation):
        return ()
    defined = TaskRulesDefined(zone=command.zone, escalation=escalation, by=command.by)
    return (NewEvent(defined, command.at),)


def evolve(state: TaskRules, data: EventData) -> TaskRules:
    """The rules after an event."""
    if isinstance(data, TaskRulesDefined):
        return TaskRules(data.zone, data.escalation)
    message = f"rules of tasks have no event {data.type} after {state.zone}"
    raise TypeError(message)


RULES: Decider[DefineRules, TaskRules] = Decider(TaskRules, decide, evolve)
