"""A new rule set over the base: most customers answer it as before, and that is quickly said.

What a glance gives is what `Engine.revise` would have changed, no more and no less; wherever that
is not plain (somebody enters or leaves, a timer is due by then), it gives nothing, and the profile
is looked at more closely. No glance needs a field that rules cannot ask for. The first one goes by
totals alone, without words and single facts, which are most of a profile; the second one needs of
these only what the newest rules ask for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.segment.engine.profile import Profile, take_view
from services.segment.engine.stepping import Engine
from services.segment.rules.evaluating.totals import by_totals, may_tell
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.instants import instant, moment
from services.segment.rules.language.facts import Facts, Sequence
from services.segment.rules.language.kinds import FACT_KINDS
from services.segment.rules.language.relations import InSegment, RandomShare
from services.segment.rules.language.rfm import Percentile, Rfm, RfmCell
from services.segment.rules.language.tree import Rule, leaves, reads
from services.segment.rules.ruleset import Asked, RuleSet
from services.segment.rules.view import View

UNSEEN = frozenset(
    {
        "told", "waiting", "moving", "versions", "history", "partition", "subject", "stream_seq",
        "stream_version", "transitions",
    }
)  # fmt: skip
FACTS = frozenset({"happened", "names"})
WORDS = frozenset({"words"})
_WORDLESS = (Facts, Sequence, InSegment, RandomShare, Rfm, RfmCell, Percentile)
"""Clauses that ask for nothing that was said about the customer."""


@dataclass(frozen=True, slots=True)
class Glance:
    """Glances with one rule set; `unseen` are the fields that a profile may lack."""

    engine: Engine
    unseen: frozenset[str]
    _began: int = field(init=False)
    _asked: dict[int, tuple[Asked, frozenset[str]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """The instant of the set is asked for very often."""
        object.__setattr__(self, "_began", instant(self.engine.rules.at))

    @classmethod
    def all_of(cls, engine: Engine) -> tuple["Glance", ...]:
        """The quick one first, where totals can say anything of what makes the set what it is."""
        rules = engine.rules
        newest = [live.rule for _, live in rules.every if live.defined_at == rules.at]
        if not newest:
            return (cls(engine, UNSEEN),)
        closer = cls(engine, UNSEEN | (FACTS | WORDS).difference(*map(_asks_for, newest)))
        quick = cls(engine, UNSEEN | FACTS | WORDS)
        return (quick, closer) if any(map(may_tell, newest)) else (closer,)

    def __call__(self, profile: Profile) -> Mapping[str, Any] | None:
        """The fields that the rule set changes; None where more has to be looked at."""
        rules, clock = self.engine.rules, profile.clock
        if clock is None or profile.removed:
            return {"rules": rules.number}
        if profile.forgets and (profile.lacks or self.engine.lacks(profile)):
            return None
        changes: dict[str, Any] = {"rules": rules.number}
        if clock < rules.at:
            clock, at = rules.at, self._began
            changes["clock"] = clock
        else:
            at = instant(clock)
        due = _due(profile, rules, clock)
        if due is None:
            return None
        if profile.away or profile.crowded:
            return changes if len(due) == len(profile.due) else None
        if not self._answers_as_before(profile, at, due):
            return None
        if due != profile.due:
            changes["due"] = due
            changes["due_at"] = moment(min(due.values())) if due else None
        return changes

    def _answers_as_before(self, profile: Profile, at: int, due: dict[str, int]) -> bool:
        """Whether plainly nobody enters or leaves by the rules; `due` is brought up to date."""
        asked, blind = self._asked_since(profile.rules)
        groups, inside = self.engine.rules.groups, profile.memberships
        for group in asked.groups:
            due.pop(group, None)
        view: View | None = None
        for name, live in asked.rules:
            verdict = by_totals(live.rule, profile.totals, at)
            if verdict is None:
                if name in blind:
                    return False
                if view is None:
                    view = self._view_of(profile)
                verdict = evaluate(live.rule, view, at)
            value, changes = verdict
            if value is not (name in inside):
                return False
            if changes is not None:
                group = groups[name]
                due[group] = min(changes, due.get(group, changes))
        return True

    def _view_of(self, profile: Profile) -> View:
        view = take_view(profile)
        view.inside = profile.memberships
        view.surroundings = self.engine.rules.surroundings
        return view

    def _asked_since(self, number: int) -> tuple[Asked, frozenset[str]]:
        """What is asked of who answered the set of that number, and what of it cannot be seen."""
        known = self._asked.get(number)
        if known is None:
            rules = self.engine.rules
            asked = rules.asked(rules.changed_since(number))
            blind = [
                name
                for name, live in asked.rules
                if not _asks_for(live.rule).isdisjoint(self.unseen)
            ]
            known = self._asked[number] = (asked, frozenset(blind))
        return known


def _asks_for(rule: Rule) -> frozenset[str]:
    """The fields that are asked for by a rule of which totals do not tell."""
    facts = FACTS if not reads(rule).isdisjoint(FACT_KINDS) else frozenset[str]()
    wordless = all(isinstance(leaf, _WORDLESS) for leaf in leaves(rule))
    return facts if wordless else facts | WORDS


def _due(profile: Profile, rules: RuleSet, clock: datetime) -> dict[str, int] | None:
    """The timers of groups that are asked; None where one has to fire first, or somebody leaves."""
    if profile.due_at is not None and profile.due_at <= clock:
        return None
    for name in profile.memberships:
        if name not in rules.rules and name not in rules.held:
            return None
    return {group: at for group, at in profile.due.items() if group in rules.grouped}
