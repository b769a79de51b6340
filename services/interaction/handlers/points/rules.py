"""The rules of points, as this service's own store has them.

Whoever needs them asks for the head of their stream first, and reads it again only where it has
grown: so every process goes by a change as soon as it is recorded.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from services.interaction.domain.points.rules import (
    RULES,
    RULES_STREAM,
    DefineRules,
    PointsRules,
)
from shared.envelope import Causation
from shared.events.points import PointsRulesDefined
from shared.eventstore import body_hash
from shared.execute import Command, Done, Writer


@dataclass(slots=True)
class PointsRulesBook:
    """All versions of the rules."""

    writer: Writer
    _known: PointsRules = field(default_factory=PointsRules)

    async def now(self) -> PointsRules:
        """The rules as they are. Raises `StoreUnavailable`."""
        heads = await self.writer.store.heads([RULES_STREAM])
        head = heads.get(RULES_STREAM)
        if head is not None and head.version != self._known.version:
            self._known, _ = await self.writer.state(RULES, RULES_STREAM)
        return self._known

    async def define(
        self,
        command_id: str,
        rules: PointsRulesDefined,
        at: datetime,
        rests_on: Callable[[int | None], None],
    ) -> Done:
        """Let other rules count. Raises its refusal."""
        sent = rules.model_dump(mode="json", exclude={"since"} if rules.since == at else set())
        return await self.writer.one(
            RULES,
            Command(
                id=command_id,
                hash=body_hash(["points/rules", sent]),
                stream=RULES_STREAM,
                key=RULES_STREAM,
                body=DefineRules(rules, at, rests_on),
                causation=Causation(correlation=command_id),
            ),
        )
