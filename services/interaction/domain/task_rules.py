"""What the chain has agreed on for all of its tasks; told whole each time."""

from collections.abc import Callable, Sequence
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
    version: int = 0


def whatever(_version: int | None) -> None:
    """The change rests on no version."""


@dataclass(frozen=True, slots=True)
class DefineRules:
    """Agree on something else; `rests_on` is told the version that there is (None: none yet)."""

    at: datetime
    zone: str
    escalation: Escalation | None
    by: str | None = None
    rests_on: Callable[[int | None], None] = whatever


def decide(command: DefineRules, state: TaskRules) -> Sequence[NewEvent]:
    """The event, none where it is so already. Raises `Refused` that names what is wrong."""
    if command.zone not in available_timezones():
        raise invalid("zone", "the IANA name of a time zone, such as Europe/Moscow")
    escalation = command.escalation
    if escalation is not None:
        span_of(escalation.after, "escalation.after")
        if (escalation.employee is None) == (escalation.position is None):
            raise invalid("escalation", "say an employee or a position, and not both")
    # What nobody has said yet is not the same already: until then the service has its own zone.
    if state.version and (command.zone, escalation) == (state.zone, state.escalation):
        return ()
    command.rests_on(state.version or None)
    defined = TaskRulesDefined(zone=command.zone, escalation=escalation, by=command.by)
    return (NewEvent(defined, command.at),)


def evolve(state: TaskRules, data: EventData) -> TaskRules:
    """The rules after an event."""
    if isinstance(data, TaskRulesDefined):
        return TaskRules(data.zone, data.escalation, state.version + 1)
    message = f"rules of tasks have no event {data.type} after {state.zone}"
    raise TypeError(message)


RULES: Decider[DefineRules, TaskRules] = Decider(TaskRules, decide, evolve)
