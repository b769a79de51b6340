"""The rule set as it stands, for whoever answers and does not fold."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from services.segment.domain import References
from services.segment.rules.language.tree import Rule
from services.segment.rules.ruleset import NO_RULES, RuleSet
from shared.decider import Refused
from shared.freshness import Freshness

FRESH_SECONDS = 1.0
"""As long as workers may take to notice a new definition."""


async def _none() -> Collection[str]:
    return ()


@dataclass(slots=True)
class PresentRules:
    """Loads the rule set, and which lists there are, when it is asked for, once a second."""

    load: Callable[[], Awaitable[RuleSet]]
    lists: Callable[[], Awaitable[Collection[str]]] = _none
    _rules: RuleSet = NO_RULES
    _lists: Collection[str] = ()
    _fresh: Freshness = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is read before it is asked for."""
        self._fresh = Freshness(self._read, FRESH_SECONDS)

    async def get(self) -> RuleSet:
        """The rule set."""
        await self._fresh.ensure()
        return self._rules

    async def require_named(self, rule: Rule) -> None:
        """Raise `Refused` (422) where a rule that is not saved names what there is not."""
        try:
            _require(await self.get(), rule, self._lists)
        except Refused:
            # It may have been defined since the last look.
            await self._fresh.renew()
            _require(self._rules, rule, self._lists)

    async def _read(self) -> None:
        self._rules, self._lists = await self.load(), await self.lists()


def _require(rules: RuleSet, rule: Rule, lists: Collection[str]) -> None:
    standing = {**rules.rules, **rules.held}
    named = {name: live.rule for name, live in standing.items()}
    References(named, rules.surroundings.tables.keys(), lists).require("", rule)
