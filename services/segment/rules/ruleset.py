"""The live rules as one numbered, immutable whole.

A worker folds with one rule set at a time and swaps it whole; a profile stores the number of the
set that it was evaluated with, so a set that is newer than the profile's is seen at once. Rules are
indexed by what they look at: a fact evaluates only the rules that it can touch.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType

from services.segment.rules.instants import instant
from services.segment.rules.language.tree import Rule, look_back, reads

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
READ_TOGETHER = timedelta(seconds=30)
"""An append is abandoned after seconds; who reads later than this sees it, or it never was."""


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

    `held` are rules that nobody is asked: memberships in their segments stand still. `moments` are
    those of all the events, in order.
    """

    number: int
    rules: Mapping[str, LiveRule]
    at: datetime = _NEVER
    held: Mapping[str, LiveRule] = field(default_factory=dict)
    moments: Sequence[datetime] = ()

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

    def changed_since(self, number: int) -> NamedRules:
        """The rules that who was evaluated with the set of that number may not have been asked.

        Two sets of one number may differ by events that were recorded at nearly the same time, of
        which one reader saw some first. So rules that are a little older are asked too; who was
        asked before answers the same.
        """
        if not 0 < number <= len(self.moments) == self.number:
            return self.every
        known = self.moments[number - 1] - READ_TOGETHER
        return tuple((name, live) for name, live in self.every if live.defined_at > known)

    def number_of(self, live: LiveRule) -> int:
        """The number of the set that began with this rule as it stands."""
        return bisect_right(self.moments, live.defined_at)

    @cached_property
    def defined(self) -> Mapping[str, int]:
        """The instant since which each rule stands."""
        return {name: instant(live.defined_at) for name, live in self.every}


NO_RULES = RuleSet(0, {})
