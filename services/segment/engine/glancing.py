"""A new rule set over the base: most customers answer it as before, and that is quickly said.

What a glance gives is what `Engine.revise` would have changed, no more and no less; wherever that
is not plain (somebody enters or leaves, a timer is due by then), it gives nothing, and the whole
profile is revised. It needs no field that rules cannot ask for; and where the newest rules ask for
no single facts, neither these, which are most of a profile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.segment.engine.profile import Profile, take_view
from services.segment.engine.stepping import Engine
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.instants import instant, moment
from services.segment.rules.language.kinds import FACT_KINDS
from services.segment.rules.language.tree import Rule, reads
from services.segment.rules.ruleset import Asked, RuleSet

UNSEEN = frozenset({"told", "waiting", "moving", "versions", "history"})
FACTS = frozenset({"happened", "names"})


@dataclass(frozen=True, slots=True)
class Glance:
    """Glances with one rule set; `unseen` are the fields that a profile may lack."""

    engine: Engine
    unseen: frozenset[str]
    _asked: dict[int, tuple[Asked, bool]] = field(default_factory=dict)

    @classmethod
    def of(cls, engine: Engine) -> "Glance":
        """Without single facts, where the rules that make the set what it is ask for none."""
        rules = engine.rules
        newest = [live.rule for _, live in rules.every if live.defined_at == rules.at]
        needed = not newest or any(map(_asks_for_facts, newest))
        return cls(engine, UNSEEN if needed else UNSEEN | FACTS)

    def __call__(self, profile: Profile) -> Mapping[str, Any] | None:
        """The fields that the rule set changes; None where the profile has to be revised."""
        rules, clock = self.engine.rules, profile.clock
        if clock is None or profile.removed:
            return {"rules": rules.number}
        if profile.forgets and (profile.lacks or self.engine.lacks(profile)):
            return None
        if clock < rules.at:
            clock = rules.at
            changes: dict[str, Any] = {"rules": rules.number, "clock": clock}
        else:
            changes = {"rules": rules.number}
        due = _due(profile, rules, clock)
        if due is None:
            return None
        if profile.away or profile.crowded:
            return changes if len(due) == len(profile.due) else None
        asked, blind = self._asked_since(profile.rules)
        if blind or not _answers_as_before(profile, rules, asked, instant(clock), due):
            return None
        if due != profile.due:
            changes["due"] = due
            changes["due_at"] = moment(min(due.values())) if due else None
        return changes

    def _asked_since(self, number: int) -> tuple[Asked, bool]:
        """What is asked of who answered the set of that number, and whether it cannot be seen."""
        known = self._asked.get(number)
        if known is None:
            rules = self.engine.rules
            asked = rules.asked(rules.changed_since(number))
            lacks = bool(self.unseen & FACTS)
            blind = lacks and any(_asks_for_facts(live.rule) for _, live in asked.rules)
            known = self._asked[number] = (asked, blind)
        return known


def _asks_for_facts(rule: Rule) -> bool:
    return not reads(rule).isdisjoint(FACT_KINDS)


def _due(profile: Profile, rules: RuleSet, clock: datetime) -> dict[str, int] | None:
    """The timers of groups that are asked; None where one has to fire first, or somebody leaves."""
    if profile.due_at is not None and profile.due_at <= clock:
        return None
    for name in profile.memberships:
        if name not in rules.rules and name not in rules.held:
            return None
    return {group: at for group, at in profile.due.items() if group in rules.grouped}


def _answers_as_before(
    profile: Profile, rules: RuleSet, asked: Asked, at: int, due: dict[str, int]
) -> bool:
    """Whether nobody enters or leaves by the rules; `due` is brought up to date."""
    if not asked.rules:
        return True
    view = take_view(profile)
    view.inside = inside = profile.memberships
    view.surroundings = rules.surroundings
    for group in asked.groups:
        due.pop(group, None)
    for name, live in asked.rules:
        value, changes = evaluate(live.rule, view, at)
        if value is not (name in inside):
            return False
        if changes is not None:
            group = rules.groups[name]
            due[group] = min(changes, due.get(group, changes))
    return True
