"""The rules that time is held against: how long a field stays true, how long is too quiet.

The number counts the events that change one of them, so that all who have read the same events
agree, and configuration that no timer looks at makes nobody look again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from services.customer.domain.configuration.automation import AUTOMATION, Automation
from services.customer.domain.configuration.durations import exact_duration
from services.customer.domain.configuration.fields import FIELDS, Fields
from shared.events.configuration import UpdateRule
from shared.events.contract import EventData

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CareRules:
    """All of them, their number, and the moment at which they became what they are."""

    number: int = 0
    at: datetime = BEGINNING
    fields: Mapping[str, UpdateRule] = field(default_factory=dict)
    periods: Mapping[str, timedelta] = field(default_factory=dict)
    inactive: Mapping[str, timedelta] = field(default_factory=dict)


NO_RULES = CareRules()


def care_rules(
    of_fields: Iterable[tuple[EventData, datetime]], of_rules: Iterable[tuple[EventData, datetime]]
) -> CareRules:
    """The rules that the events of fields and of automation make, each with its `recordedtime`."""
    known = NO_RULES
    fields: Fields = FIELDS.initial()
    for data, recorded in of_fields:
        fields = FIELDS.evolve(fields, data)
        if fields.update_rules != known.fields:
            known = _grown(replace(known, fields=fields.update_rules), recorded)
    automation: Automation = AUTOMATION.initial()
    for data, recorded in of_rules:
        automation = AUTOMATION.evolve(automation, data)
        if (inactive := _inactive(automation)) != known.inactive:
            known = _grown(replace(known, inactive=inactive), recorded)
    periods = {name: exact_duration(rule.every, "every") for name, rule in known.fields.items()}
    return replace(known, periods=periods)


def who_confirms(rule: UpdateRule) -> str:
    """Who has to, as the event says it: `responsible`, `position:<name>`, `employee:<id>`."""
    match rule.by:
        case "responsible":
            return "responsible"
        case "position":
            return f"position:{rule.position}"
        case "employee":
            return f"employee:{rule.employee}"


def _grown(rules: CareRules, recorded: datetime) -> CareRules:
    return replace(rules, number=rules.number + 1, at=max(rules.at, recorded))


def _inactive(automation: Automation) -> Mapping[str, timedelta]:
    return {
        name: exact_duration(rule.when.after, "after")
        for name, rule in automation.living()
        if rule.when.after is not None
    }
