"""A new rule set over the base: most customers answer it as before, and that is quickly said.

What a glance gives is what `Engine.revise` would have changed, no more and no less; wherever that
is not plain (somebody enters or leaves, a timer is due by then), it gives nothing, and the whole
profile is revised. It needs no field that rules cannot ask for.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.segment.engine.profile import Profile, take_view
from services.segment.engine.stepping import Engine
from services.segment.rules.evaluating.tree import evaluate
from services.segment.rules.instants import instant, moment
from services.segment.rules.ruleset import Asked, RuleSet

UNSEEN = frozenset({"told", "waiting", "moving", "versions", "history"})


def glance(engine: Engine, profile: Profile) -> Mapping[str, Any] | None:
    """The fields that the present rule set changes; None where the profile has to be revised."""
    rules = engine.rules
    clock = profile.clock
    if clock is None or profile.removed:
        return {"rules": rules.number}
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
    asked = rules.asked(rules.changed_since(profile.rules))
    if asked.rules and not _answers_as_before(profile, rules, asked, instant(clock), due):
        return None
    if due != profile.due:
        changes["due"] = due
        changes["due_at"] = moment(min(due.values())) if due else None
    return changes


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
