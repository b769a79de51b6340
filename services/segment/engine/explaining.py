"""Why a customer is in a segment or not: the tree of its rule, clause by clause.

Every clause says whether it is true, since when, when that changes by itself, what was found, and
which events are behind it. It is an explanation of what is known now, also of an earlier moment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.segment.engine.facts import event_of
from services.segment.engine.profile import Profile
from services.segment.engine.replaying import Replay, replay
from services.segment.rules.findings.finding import Finding
from services.segment.rules.findings.tree import find
from services.segment.rules.happened import Happened
from services.segment.rules.language.kinds import FACT_KINDS, FACT_NAMES
from services.segment.rules.language.tree import All, AnyOf, Not, Rule
from services.segment.rules.ruleset import NO_RULES, RuleSet
from services.segment.rules.words import FieldValue, Word

MOST_FACTS = 20
"""Of a clause that are named."""

MOST_STEPS = 1_000
"""Timers that are looked beyond to say when a clause changes."""


LEAST_MOMENTS = 20
MOST_WORK = 10_000_000
"""Clauses times facts times moments that are asked about to say since when, some seconds of work.

All of the past of whoever has a few hundred facts, and the last weeks of who has thousands.
"""


@dataclass(frozen=True, slots=True)
class Behind:
    """Something behind a clause: the id of the event that told it, and the instant of a fact."""

    event: str
    time: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """A clause about a customer at an instant.

    `since` is None where it was never otherwise, as far as is known and was looked at
    (`MOST_WORK`); `until` is None where time alone does not change it. `value` is what a looking
    clause compared; `behind` are the latest of the `of` things that this rests on, at most
    `MOST_FACTS`.
    """

    rule: Rule
    true: bool
    since: int | None
    until: int | None
    value: FieldValue | None
    of: int
    behind: tuple[Behind, ...]
    clauses: tuple["Explained", ...]


def explain(profile: Profile, rule: Rule, at: int, around: RuleSet = NO_RULES) -> Explained:
    """The explanation at an instant, by what the profile keeps.

    `around` has the rules of the segments that the rule names.
    """
    nodes = list(_nodes(rule))
    known = sum(1 for _ in profile.facts) + len(profile.told)
    most = max(LEAST_MOMENTS, MOST_WORK // (len(nodes) * max(known, 1)))
    return _Explaining(profile, replay(profile, nodes, at, around, most), at).explained(rule)


@dataclass(frozen=True, slots=True)
class _Explaining:
    profile: Profile
    lived: Replay
    at: int

    def explained(self, rule: Rule) -> Explained:
        course = next(course for course in self.lived.asked if course.rule is rule)
        found = find(rule, self.lived.view, self.at) or Finding(None)
        return Explained(
            rule=rule,
            true=course.value,
            since=course.since,
            until=self.lived.turning(course, self.at, MOST_STEPS),
            value=found.value,
            of=len(found.behind),
            behind=tuple(self._behind(each) for each in found.behind[-MOST_FACTS:][::-1]),
            clauses=tuple(self.explained(clause) for clause in _clauses(rule)),
        )

    def _behind(self, told: Happened | Word) -> Behind:
        if isinstance(told, Happened):
            return Behind(event_of(told, self.profile.id), told.time, _total(told))
        return Behind(told.event(self.profile.id))


def _total(fact: Happened) -> int | None:
    numbers = FACT_KINDS[FACT_NAMES[fact.kind]].numbers
    return fact.number if numbers[:1] == ("total",) else None


def _nodes(rule: Rule) -> Iterator[Rule]:
    yield rule
    for clause in _clauses(rule):
        yield from _nodes(clause)


def _clauses(rule: Rule) -> Sequence[Rule]:
    match rule:
        case All() | AnyOf():
            return rule.clauses
        case Not():
            return (rule.clause,)
        case _:
            return ()
