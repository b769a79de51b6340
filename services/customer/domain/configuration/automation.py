"""Rules of automation: when something happens to a customer, what the chain does by itself.

A rule acts in a name of its own, `rule:<name>`, so that what it takes back is what it gave, and
what a person gave stays. A rule that acts *while inside* a segment takes everything back on
leaving, so it may give only what has a giver: categories and a discount.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.customer.domain.configuration.catalogue import (
    Archive,
    Catalogue,
    Define,
    Item,
    Restore,
    Rules,
    check_titles,
    decide_item,
)
from services.customer.domain.configuration.durations import exact_duration
from shared.decider import Decider, NewEvent, invalid
from shared.events.automation import (
    AutomationArchived,
    AutomationDefined,
    AutomationRestored,
    Then,
    When,
)
from shared.events.contract import EventData

GIVER = "rule:"
_OF_OCCASION = {
    "segment_entered": "segment",
    "segment_left": "segment",
    "status_reached": "status",
    "receipt": "at_least",
    "inactive": "after",
}

AutomationCommand = Define[AutomationDefined] | Archive | Restore


@dataclass(frozen=True, slots=True)
class Automation(Catalogue[AutomationDefined]):
    """All rules by name."""


def giver_of(rule: str) -> str:
    """In whose name a rule acts."""
    return f"{GIVER}{rule}"


def check_rule(definition: AutomationDefined, name: str, state: Automation) -> None:
    """Raise `Refused` for a rule that says too little, too much, or nothing that can be done."""
    others = ((other, each.titles) for other, each in state.living())
    check_titles(definition.titles, name, others)
    _check_when(definition.when)
    _check_then(definition)
    before = state.items.get(name)
    if before is not None and before.definition.when.while_inside:
        _check_kept(before.definition.when, definition.when)


def _check_kept(before: When, now: When) -> None:
    """What was given inside one segment is taken back on leaving just that one."""
    if (before.segment, True) != (now.segment, now.while_inside):
        raise invalid("when", "what it gave would stay for ever: archive it, and define another")


def _check_when(when: When) -> None:
    wanted = _OF_OCCASION[when.on]
    for name in ("segment", "status", "at_least", "after"):
        value = getattr(when, name)
        if name == wanted and value is None:
            raise invalid(f"when.{name}", f"is needed where on is {when.on}")
        if name != wanted and value is not None:
            raise invalid(f"when.{name}", f"says nothing where on is {when.on}")
    if when.while_inside and when.on != "segment_entered":
        raise invalid("when.while_inside", "is for rules on entering a segment")
    if when.after is not None:
        exact_duration(when.after, "when.after")


def _check_then(definition: AutomationDefined) -> None:
    then, when = definition.then, definition.when
    if then == Then():
        raise invalid("then", "should say at least one thing to do")
    if then.archive and when.on != "inactive":
        raise invalid("then.archive", "is for rules on customers who became inactive")
    if both := set(then.give_categories) & set(then.take_categories):
        raise invalid("then.take_categories", f"{min(both)} is given as well")
    if both := set(then.add_tags) & set(then.remove_tags):
        raise invalid("then.remove_tags", f"{min(both)} is put on as well")
    if then.task is not None:
        exact_duration(then.task.due, "then.task.due")
    if not when.while_inside:
        return
    for name in ("take_categories", "add_tags", "remove_tags", "status", "responsible", "task"):
        if getattr(then, name):
            raise invalid(f"then.{name}", "cannot be taken back on leaving: no giver is known")


def decide(command: AutomationCommand, state: Automation) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal.

    A rule takes causes from its first definition on; a restored one, from then on.
    """
    if isinstance(command, Define):
        item: Item[AutomationDefined] | None = state.items.get(command.name)
        since = command.at if item is None else item.definition.since
        definition = command.definition.model_copy(update={"since": since})
        command = replace(command, definition=definition)
    return decide_item(_rules(command.at), command, state)


def _rules(at: datetime) -> Rules[AutomationDefined, Automation]:
    return Rules(
        kind="automation rule",
        archived=lambda name: AutomationArchived(rule=name),
        restored=lambda name: AutomationRestored(rule=name, since=at),
        check=check_rule,
    )


def evolve(state: Automation, data: EventData) -> Automation:
    """The rules after an event."""
    match data:
        case AutomationDefined(rule=name):
            return state.with_definition(name, data)
        case AutomationArchived(rule=name):
            return state.with_archived(name, archived=True)
        case AutomationRestored(rule=name, since=since):
            after = state.with_archived(name, archived=False)
            item = after.items[name]
            counting = item.definition.model_copy(update={"since": since})
            return replace(after, items={**after.items, name: replace(item, definition=counting)})
        case _:
            message = f"automation has no event {data.type}"
            raise TypeError(message)


AUTOMATION: Decider[AutomationCommand, Automation] = Decider(Automation, decide, evolve)
