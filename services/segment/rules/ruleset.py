"""The live rules as one numbered, immutable whole.

A worker folds with one rule set at a time and swaps it whole; a profile stores the number of the
set that it was evaluated with, so a set that is newer than the profile's is seen at once. Rules are
indexed by what they look at: a fact evaluates only the rules that it can touch.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType

from services.segment.rules.instants import instant
from services.segment.rules.language.tree import Rule, look_back, reads

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LiveRule:
    """A segment's rule as it stands.

    `definition` is its version, `defined_at` when that was recorded, `event` the id of the event
    that says so, `correlation` the chain of causes that the event belongs to, `depth` its place in
    that chain.
    """

    definition: int
    rule: Rule
    defined_at: datetime
    event: str
    correlation: str
    depth: int = 0


NamedRules = tuple[tuple[str, LiveRule], ...]


@dataclass(frozen=True)
class RuleSet:
    """Every live rule by the name of its segment, in the order of names.

    `number` is how many definition events it is the fold of; `at` is when the last of them was
    recorded.
    """

    number: int
    rules: Mapping[str, LiveRule]
    at: datetime = _NEVER

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", MappingProxyType(dict(sorted(self.rules.items()))))

    @cached_property
    def every(self) -> NamedRules:
        """All rules."""
        return tuple(self.rules.items())

    @cached_property
    def touched_by(self) -> Mapping[str, NamedRules]:
        """The rules that look at something, by its name (`Leaf.reads`)."""
        touched: dict[str, list[tuple[str, LiveRule]]] = defaultdict(list)
        for name, live in self.every:
            for read in reads(live.rule):
                touched[read].append((name, live))
        return {read: tuple(rules) for read, rules in touched.items()}

    @cached_property
    def look_back(self) -> int:
        """The longest span (milliseconds) in which any rule asks for single receipts."""
        return max((look_back(live.rule) for live in self.rules.values()), default=0)

    @cached_property
    def defined(self) -> Mapping[str, int]:
        """The instant since which each rule stands."""
        return {name: instant(live.defined_at) for name, live in self.every}


NO_RULES = RuleSet(0, {})
