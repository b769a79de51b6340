"""The rule set as it stands, for whoever answers and does not fold."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from services.segment.rules.ruleset import NO_RULES, RuleSet

FRESH_SECONDS = 1.0
"""As long as workers may take to notice a new definition."""


@dataclass(slots=True)
class PresentRules:
    """Loads the rule set when it is asked for, and remembers it for a second."""

    load: Callable[[], Awaitable[RuleSet]]
    _rules: RuleSet = NO_RULES
    _until: float = field(default=-1.0)

    async def get(self) -> RuleSet:
        """The rule set."""
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            self._rules = await self.load()
            self._until = now + FRESH_SECONDS
        return self._rules
