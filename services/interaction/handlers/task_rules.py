"""What decisions on tasks rest on besides the task: the chain's rules, and who works where."""

from dataclasses import dataclass, field
from typing import Protocol

from services.interaction.domain.task_rules import RULES, RULES_STREAM, DefineRules, TaskRules
from services.interaction.domain.tasks import UTC_ZONE
from services.interaction.queries.staff import People, Staff
from shared.envelope import Causation
from shared.execute import Command, Done, Writer
from shared.freshness import Freshness

OLDEST_SECONDS = 1.0


class AnyEscalation(Protocol):
    """Whom an escalation names, of an event or of a document."""

    @property
    def employee(self) -> str | None:
        """Somebody."""
        ...

    @property
    def position(self) -> str | None:
        """Whoever has a position."""
        ...


@dataclass(frozen=True, slots=True)
class TaskGround:
    """The rules of the chain, and its people."""

    rules: TaskRules = field(default_factory=TaskRules)
    people: People = field(default_factory=People)

    def zone(self, branch: str | None) -> str:
        """The time zone of a branch; the chain's where it has none that is known."""
        return self.people.zone(branch, self.rules.zone)

    def escalates_to(self, escalation: AnyEscalation | None, branch: str | None) -> str | None:
        """Whom an escalation goes to; None where it is nobody."""
        if escalation is None or escalation.position is None:
            return None if escalation is None else escalation.employee
        return self.people.at_position(escalation.position, branch)


@dataclass(slots=True)
class TaskGrounds:
    """Reads the rules at most once a second; whoever changes them here sees it at once.

    `otherwise` is the chain's zone while nobody has agreed on another one.
    """

    writer: Writer
    staff: Staff
    otherwise: str = UTC_ZONE
    _rules: tuple[TaskRules, int] = (TaskRules(), 0)
    _freshness: Freshness = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._freshness = Freshness(self._read, OLDEST_SECONDS)

    async def now(self) -> TaskGround:
        """As it was within the last second. Raises `StoreUnavailable`."""
        rules, _version = await self.rules()
        return TaskGround(rules, await self.staff.people())

    async def rules(self) -> tuple[TaskRules, int]:
        """The rules and their version (0: nobody has agreed on anything yet)."""
        await self._freshness.ensure()
        return self._rules

    async def define(self, command_id: str, hashed: str, command: DefineRules) -> Done:
        """Agree on something else; tasks that are planned from now on get it."""
        try:
            return await self.writer.one(
                RULES,
                Command(
                    id=command_id,
                    hash=hashed,
                    stream=RULES_STREAM,
                    key=RULES_STREAM,
                    body=command,
                    causation=Causation(correlation=command_id),
                ),
            )
        finally:
            self._freshness.forget()

    async def _read(self) -> None:
        rules, version = await self.writer.state(RULES, RULES_STREAM)
        self._rules = (rules if version else TaskRules(self.otherwise), version)
