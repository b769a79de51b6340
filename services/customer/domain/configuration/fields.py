"""Custom fields of customers: which there are, what values they take, how they are kept true.

A field's type never changes, so every value that was ever written can be read. What narrows (an
archived field, a choice that is gone) binds new values only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from services.customer.domain.configuration.catalogue import (
    Archive,
    Catalogue,
    Define,
    Restore,
    RestsOn,
    Rules,
    check_titles,
    decide_item,
    whatever,
)
from services.customer.domain.configuration.computed import (
    Totals,
    check_computed,
    computed_value,
)
from services.customer.domain.configuration.durations import check_duration, exact_duration
from services.customer.domain.configuration.values import FieldValue, WrongValue, normalised, same
from shared.decider import Decider, FieldError, NewEvent, Refused, invalid, not_found
from shared.events.configuration import (
    FieldArchived,
    FieldDefined,
    FieldRestored,
    RecordAttribute,
    RecordRuleDefined,
    RecordRuleRemoved,
    UpdateRule,
)
from shared.events.contract import EventData

CUSTOM = "custom."
MAX_CHOICES = 500
MAX_DECIMALS = 6
NOTHING: Mapping[str, FieldValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RecordRule:
    """The update rule of an attribute that every record has, and the version that it came with."""

    rule: UpdateRule
    version: int


@dataclass(frozen=True, slots=True)
class Fields(Catalogue[FieldDefined]):
    """All custom fields by name, and the update rules of the record's own attributes."""

    record_rules: Mapping[str, RecordRule] = field(default_factory=dict)

    @property
    def update_rules(self) -> Mapping[str, UpdateRule]:
        """Attribute (`email`, `custom.pets`) → its update rule, of all that have one."""
        rules = {name: each.rule for name, each in self.record_rules.items()}
        for name, definition in self.living():
            if definition.update_rule is not None:
                rules[CUSTOM + name] = definition.update_rule
        return rules

    def computed(self, totals: Totals) -> dict[str, str]:
        """The values of the living computed fields that have one, by name."""
        found = {}
        for name, definition in self.living():
            if definition.computed is not None:
                value = computed_value(definition.computed, totals)
                if value is not None:
                    found[name] = value
        return found

    def checked(
        self,
        values: Mapping[str, object],
        before: Mapping[str, FieldValue] = NOTHING,
        *,
        whole: bool = False,
    ) -> dict[str, FieldValue | None]:
        """The values in their one written form; None takes a value away.

        `before` is what the record has: a value that stays as it is passes, whatever the field has
        become. `whole` asks for the required fields too, as for a record that a person makes.
        Raises `Refused` that names each wrong one as `custom.<name>`, and what would be right.
        """
        found: dict[str, FieldValue | None] = {}
        wrong: list[FieldError] = []
        for name, value in values.items():
            try:
                found[name] = self._checked(name, value, before)
            except WrongValue as why:
                wrong.append(FieldError(CUSTOM + name, str(why)))
        if whole:
            wrong += [
                FieldError(CUSTOM + name, "is required")
                for name, definition in self.living()
                if definition.required and name not in before and name not in values
            ]
        if wrong:
            raise Refused("invalid", 422, "The input is not valid.", errors=tuple(wrong))
        return found

    def _checked(
        self, name: str, value: object, before: Mapping[str, FieldValue]
    ) -> FieldValue | None:
        item = self.items.get(name)
        if value is None:
            if item is not None and not item.archived and item.definition.required:
                raise WrongValue("is required")
            return None
        if same(before, name, value):
            return before[name]
        if item is None:
            raise WrongValue("there is no such field")
        if item.archived:
            raise WrongValue("the field is archived: it takes no new value")
        if item.definition.computed is not None:
            raise WrongValue("the field is computed: nobody writes it")
        return normalised(item.definition, value)


def rule_every(rule: UpdateRule) -> timedelta:
    """How long a confirmed value counts as true."""
    return exact_duration(rule.every, "update_rule.every")


@dataclass(frozen=True, slots=True)
class DefineRecordRule:
    """Have an attribute of every record confirmed from time to time."""

    attribute: RecordAttribute
    rule: UpdateRule
    at: datetime
    rests_on: RestsOn = whatever


@dataclass(frozen=True, slots=True)
class RemoveRecordRule:
    """Let an attribute be, unconfirmed."""

    attribute: RecordAttribute
    at: datetime
    rests_on: RestsOn = whatever


FieldCommand = Define[FieldDefined] | Archive | Restore | DefineRecordRule | RemoveRecordRule


def _check(definition: FieldDefined, name: str, state: Fields) -> None:
    before = state.get(name)
    if before is not None and before.kind != definition.kind:
        raise _fixed(f"it takes {before.kind} for ever: define another field")
    if before is not None and before.decimals != definition.decimals:
        raise _fixed(f"its numbers have {before.decimals} decimals for ever: define another field")
    if before is not None and (before.computed is None) != (definition.computed is None):
        raise _fixed("who fills it in, people or the totals, stays: define another field")
    check_titles(definition.titles, name, ((other, each.titles) for other, each in state.living()))
    _check_choices(definition)
    check_computed(definition)
    if definition.decimals and definition.kind != "number":
        raise invalid("decimals", "only a number has decimals")
    if definition.decimals > MAX_DECIMALS:
        raise invalid("decimals", f"at most {MAX_DECIMALS}")
    if definition.retention is not None:
        check_duration(definition.retention, "retention")
    if definition.update_rule is not None:
        check_rule(definition.update_rule, "update_rule")


def _fixed(detail: str) -> Refused:
    return Refused("field-fixed", 409, "The type of a field stays.", detail)


def _check_choices(definition: FieldDefined) -> None:
    names = [choice.name for choice in definition.choices]
    if definition.kind not in {"list", "multi_list"}:
        if names:
            raise invalid("choices", "only a list has choices")
        return
    if not 0 < len(names) <= MAX_CHOICES:
        raise invalid("choices", f"a list has 1 to {MAX_CHOICES} choices")
    for number, choice in enumerate(definition.choices):
        if names.index(choice.name) != number:
            raise invalid(f"choices.{number}.name", "stands here twice")
        others = ((other.name, other.titles) for other in definition.choices[:number])
        check_titles(choice.titles, choice.name, others)


def check_rule(rule: UpdateRule, path: str) -> None:
    """Raise `Refused` for an update rule that nobody could follow."""
    exact_duration(rule.every, f"{path}.every")
    for who, named in (("position", rule.position), ("employee", rule.employee)):
        if (rule.by == who) != (named is not None):
            raise invalid(f"{path}.{who}", f"is named where it is by: {who}, and nowhere else")


RULES: Rules[FieldDefined, Fields] = Rules(
    kind="field",
    archived=lambda name: FieldArchived(field=name),
    restored=lambda name: FieldRestored(field=name),
    check=_check,
)


def decide(command: FieldCommand, state: Fields) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    match command:
        case DefineRecordRule(attribute=attribute, rule=rule):
            known = state.record_rules.get(attribute)
            if known is not None and known.rule == rule:
                return ()
            command.rests_on(None if known is None else known.version)
            check_rule(rule, "rule")
            return (NewEvent(RecordRuleDefined(attribute=attribute, rule=rule), command.at),)
        case RemoveRecordRule(attribute=attribute):
            known = state.record_rules.get(attribute)
            if known is None:
                kind = "update rule"
                raise not_found(kind, attribute)
            command.rests_on(known.version)
            return (NewEvent(RecordRuleRemoved(attribute=attribute), command.at),)
        case _:
            return decide_item(RULES, command, state)


def evolve(state: Fields, data: EventData) -> Fields:
    """The fields after an event."""
    match data:
        case FieldDefined(field=name):
            return state.with_definition(name, data)
        case FieldArchived(field=name):
            return state.with_archived(name, archived=True)
        case FieldRestored(field=name):
            return state.with_archived(name, archived=False)
        case RecordRuleDefined(attribute=attribute, rule=rule):
            after = state.counted()
            known = RecordRule(rule, after.version)
            return replace(after, record_rules={**state.record_rules, attribute: known})
        case RecordRuleRemoved(attribute=attribute):
            kept = {name: each for name, each in state.record_rules.items() if name != attribute}
            return replace(state.counted(), record_rules=kept)
        case _:
            message = f"fields have no event {data.type}"
            raise TypeError(message)


FIELDS: Decider[FieldCommand, Fields] = Decider(Fields, decide, evolve)
