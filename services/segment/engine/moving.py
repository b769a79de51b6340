"""Whom a rule would move if it stood: the memberships that it would begin and end, customer by one.

Nothing is changed and nothing is logged. Who can be in no segment now (merged, erased, no person,
nothing known yet) does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.segment.engine.life import Life
from services.segment.engine.profile import Profile
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.instants import instant
from services.segment.rules.language.tree import Rule
from services.segment.rules.ruleset import RuleSet


@dataclass(frozen=True, slots=True)
class Toll:
    """Of `base` customers so many would enter, and so many leave."""

    base: int
    entering: int
    leaving: int


def toll_of(profiles: Sequence[Profile], segment: str, rule: Rule, rules: RuleSet, at: int) -> Toll:
    """What the rule would do to the segment at an instant, or later where a profile is later.

    `rules` are those that stand: a rule may ask for what is part of them.
    """
    base = entering = leaving = 0
    for profile in profiles:
        value = means(rule, profile, rules, at)
        if value is None:
            continue
        base += 1
        inside = segment in profile.memberships
        entering += value and not inside
        leaving += inside and not value
    return Toll(base, entering, leaving)


def means(rule: Rule, profile: Profile, rules: RuleSet, at: int) -> bool | None:
    """Whether a rule is true of a customer; None of who can be in no segment now."""
    if profile.removed or profile.away or profile.crowded or profile.clock is None:
        return None
    view = Life(profile, rules).view
    return evaluate(rule, view, max(at, instant(profile.clock))).value
