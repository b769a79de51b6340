"""The live rules as one numbered, immutable whole.

A worker folds with one rule set at a time and swaps it whole; a profile stores the number of the
set that it was evaluated with, so a set that is newer than the profile's is seen at once. Rules are
indexed by what they look at: a fact evaluates only the rules that it can touch. They are in an
order in which each comes after the segments that it names, so that what is asked at one instant is
settled in one go.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType

from services.segment.rules.compiling import Fused, fuse
from services.segment.rules.graph import circle, depths, named_in
from services.segment.rules.language.relations import segment_read
from services.segment.rules.language.tree import Rule, look_back, reads, since
from services.segment.rules.surroundings import NOWHERE, Surroundings

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


@dataclass(frozen=True, slots=True)
class Need:
    """What has to be kept one by one: a span back from now (milliseconds), and since an instant."""

    look_back: int
    since: int | None

    def is_met(self, lost: int | None, at: int) -> bool:
        """Whether it is, at an instant, where nothing later than `lost` was let go of.

        None: nothing was.
        """
        if lost is None:
            return True
        return at - self.look_back >= lost and (self.since is None or self.since > lost)


def waiting_name(segment: str, definition: int) -> str:
    """The name under which a definition on trial waits; no segment is called so."""
    return f"{segment}#{definition}"


NamedRules = tuple[tuple[str, LiveRule], ...]
MOST_WITHOUT = 32
"""Sets without what somebody lacks that are remembered: customers lack the same few, mostly."""
LEAST_FUSED = 8
"""Fewer rules than this are asked one by one: writing them out costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Rules that are asked together, in their order.

    `groups` are those whose rules are all among them. What is `fused` is asked by one function;
    `alone` are asked one by one, in their turn: those that name segments or are named.
    """

    rules: NamedRules
    groups: frozenset[str]
    alone: NamedRules
    fused: Fused | None = None


NOTHING = Asked((), frozenset(), ())


@dataclass(frozen=True)
class RuleSet:
    """Every live rule by the name of its segment, in the order of names.

    Of rules that name each other in a circle the last one is left out. `number` is how many
    definition events it is the fold of; `at` is when the last of them was recorded. `held` are
    rules that nobody is asked: memberships in their segments stand still. `moments` are those of
    all the events, in order. `waiting` are definitions on trial that need more than profiles keep,
    by `waiting_name`: nobody is asked, and profiles keep it from now on. Without `fusing` no
    functions are written out, which takes time.
    """

    number: int
    rules: Mapping[str, LiveRule]
    at: datetime = _NEVER
    held: Mapping[str, LiveRule] = field(default_factory=dict)
    moments: Sequence[datetime] = ()
    surroundings: Surroundings = NOWHERE
    waiting: Mapping[str, LiveRule] = field(default_factory=dict)
    fusing: bool = True
    _asking: dict[str, Asked] = field(default_factory=dict, init=False, repr=False, compare=False)
    _without: dict[tuple[str, ...], "RuleSet"] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        rules = dict(sorted(_without_circles(self.rules).items()))
        object.__setattr__(self, "rules", MappingProxyType(rules))

    @cached_property
    def every(self) -> NamedRules:
        """All rules, each after those of the segments that it names."""
        return self.in_order(self.rules)

    @cached_property
    def places(self) -> Mapping[str, tuple[int, str]]:
        """Segment → its place in the order of asking."""
        graph = {name: named_in(live.rule) for name, live in self.rules.items()}
        return {name: (depth, name) for name, depth in depths(graph).items()}

    def in_order(self, names: Iterable[str]) -> NamedRules:
        """The rules of these segments in the order of asking."""
        return tuple(
            (name, self.rules[name]) for name in sorted(names, key=self.places.__getitem__)
        )

    @cached_property
    def causing(self) -> Mapping[str, LiveRule]:
        """Segment → the last definition that its answer rests on: its own, or of one it names."""
        latest: dict[str, LiveRule] = {}
        for name, live in self.every:
            named = [latest[each] for each in sorted(named_in(live.rule)) if each in latest]
            latest[name] = max([live, *named], key=_defined_at)
        return latest

    @cached_property
    def naming(self) -> Mapping[str, frozenset[str]]:
        """Segment → the segments whose rules name it, where there are any."""
        touched = {name: self.touched_by.get(segment_read(name), ()) for name in self.rules}
        return {name: frozenset(by for by, _ in rules) for name, rules in touched.items() if rules}

    @cached_property
    def touched_by(self) -> Mapping[str, NamedRules]:
        """The rules that look at something, by its name (`Leaf.reads`)."""
        touched: dict[str, list[tuple[str, LiveRule]]] = defaultdict(list)
        for name, live in self.every:
            for read in reads(live.rule):
                touched[read].append((name, live))
        return {read: tuple(rules) for read, rules in touched.items()}

    @cached_property
    def groups(self) -> Mapping[str, str]:
        """Segment → its group: what its rule looks at, in one text. Timers are kept by group.

        So a rule stays in its group as long as it stays what it is, whatever else is defined.
        """
        return {name: ",".join(sorted(reads(live.rule))) for name, live in self.rules.items()}

    @cached_property
    def grouped(self) -> Mapping[str, NamedRules]:
        """The rules of each group, in the order of asking."""
        members: dict[str, list[tuple[str, LiveRule]]] = defaultdict(list)
        for name, live in self.every:
            members[self.groups[name]].append((name, live))
        return {group: tuple(rules) for group, rules in members.items()}

    def asked(self, rules: NamedRules) -> Asked:
        """Some rules, to be asked one by one."""
        names = {name for name, _ in rules}
        groups = {self.groups[name] for name in names}
        whole = (group for group in groups if all(name in names for name, _ in self.grouped[group]))
        return Asked(rules, frozenset(whole), rules)

    @cached_property
    def asking_all(self) -> Asked:
        """All rules."""
        return self._together(self.every)

    def asking(self, read: str) -> Asked:
        """The rules that look at something, by its name (`Leaf.reads`)."""
        asked = self._asking.get(read)
        if asked is None:
            if read not in self.touched_by:
                return NOTHING
            asked = self._asking[read] = self._together(self.touched_by[read])
        return asked

    def asking_group(self, group: str) -> Asked:
        """The rules of a group, when it is due."""
        place = f"due {group}"
        asked = self._asking.get(place)
        if asked is None:
            asked = self._asking[place] = self._together(self.grouped.get(group, ()))
        return asked

    def prepare(self) -> None:
        """Write out every function that will be needed: seconds, for thousands of rules."""
        if self.rules:
            _ = self.asking_all
        for read in self.touched_by:
            self.asking(read)
        for group in self.grouped:
            self.asking_group(group)

    def _together(self, rules: NamedRules) -> Asked:
        alone = tuple(
            (name, live) for name, live in rules if name in self.naming or named_in(live.rule)
        )
        apart = {name for name, _ in alone}
        fused = [(name, self.groups[name], live.rule) for name, live in rules if name not in apart]
        asked = self.asked(rules)
        if len(fused) < LEAST_FUSED or not self.fusing:
            return asked
        return replace(asked, alone=alone, fused=fuse(fused))

    @cached_property
    def look_back(self) -> int:
        """The longest span (milliseconds) in which any rule asks for single facts, held or not."""
        return max((each.look_back for each in self.needs.values()), default=0)

    @cached_property
    def needs(self) -> Mapping[str, Need]:
        """What profiles have to keep for each rule, held and waiting ones included."""
        every = {**self.rules, **self.held, **self.waiting}
        return {name: Need(look_back(live.rule), since(live.rule)) for name, live in every.items()}

    def without(self, lacks: Sequence[str]) -> "RuleSet":
        """The set for who does not keep what some rules need: for them these are held."""
        if not lacks:
            return self
        found = self._without.get(names := tuple(lacks))
        if found is None:
            apart = {name: self.rules[name] for name in names if name in self.rules}
            left = {name: live for name, live in self.rules.items() if name not in apart}
            held = {**self.held, **apart}
            found = replace(self, rules=left, held=held, fusing=False) if apart else self
            if len(self._without) >= MOST_WITHOUT:
                del self._without[next(iter(self._without))]
            self._without[names] = found
        return found

    def changed_since(self, number: int) -> NamedRules:
        """The rules that who was evaluated with the set of that number may not have been asked.

        Two sets of one number may differ by events that were recorded at nearly the same time, of
        which one reader saw some first. So rules that are a little older are asked too; who was
        asked before answers the same. So are those that name what is newer: they may have been
        left out of a circle until now.
        """
        if not 0 < number <= len(self.moments) == self.number:
            return self.every
        known = self.moments[number - 1] - READ_TOGETHER
        return tuple(
            (name, live) for name, live in self.every if self.causing[name].defined_at > known
        )

    def number_of(self, live: LiveRule) -> int:
        """The number of the set that began with this rule as it stands."""
        return bisect_right(self.moments, live.defined_at)

    @cached_property
    def since(self) -> int | None:
        """The earliest instant from which on a rule asks for single facts, whatever time it is."""
        told = (each.since for each in self.needs.values())
        return min((each for each in told if each is not None), default=None)


def _defined_at(live: LiveRule) -> datetime:
    return live.defined_at


def _without_circles(rules: Mapping[str, LiveRule]) -> Mapping[str, LiveRule]:
    left = dict(rules)
    while True:
        graph = {name: named_in(live.rule) for name, live in left.items()}
        around = [name for name in graph.keys() - depths(graph).keys() if circle(graph, name)]
        if not around:
            return left
        del left[max(around, key=lambda name: (left[name].defined_at, name))]


NO_RULES = RuleSet(0, {})
