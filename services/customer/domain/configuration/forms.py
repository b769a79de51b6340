"""Public forms: what they ask, and the words that people agree to.

A wording is a version of texts for ever: what somebody agreed to is found again from the version in
the evidence, so other texts under a version that was used are refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from services.customer.domain.configuration.catalogue import (
    Archive,
    Catalogue,
    Define,
    Restore,
    Rules,
    decide_item,
)
from services.customer.domain.configuration.fields import CUSTOM, Fields
from shared.decider import Decider, NewEvent, invalid
from shared.events.contract import EventData
from shared.events.forms import FormArchived, FormAttribute, FormDefined, FormRestored

ATTRIBUTES: frozenset[str] = frozenset(get_args(FormAttribute))
MOST_FIELDS = 30
MOST_CONSENTS = 10

FormCommand = Define[FormDefined] | Archive | Restore
Wording = tuple[str, str, str]
"""Topic, channel and version."""


@dataclass(frozen=True, slots=True)
class Forms(Catalogue[FormDefined]):
    """All forms by name, and all texts that were ever agreed to on them."""

    wordings: Mapping[Wording, Mapping[str, str]] = field(default_factory=dict)


def check_form(definition: FormDefined, _name: str, state: Forms) -> None:
    """Raise `Refused` for a form that finds nobody, asks twice, or changes what was agreed to."""
    asked = [each.attribute for each in definition.fields]
    if not 0 < len(asked) <= MOST_FIELDS:
        raise invalid("fields", f"1 to {MOST_FIELDS} questions")
    if len(set(asked)) != len(asked):
        raise invalid("fields", "each attribute may be asked for once")
    required = {each.attribute for each in definition.fields if each.required}
    if definition.confirmation == "email":
        if "email" not in required:
            raise invalid("confirmation", "needs `email` among the required fields")
    elif not required & {"email", "phone"}:
        raise invalid("fields", "`email` or `phone` has to be required: it says who it is")
    elif definition.promise is not None:
        raise invalid("promise", "needs a confirmation: once per person is told by the address")
    for number, attribute in enumerate(asked):
        known = attribute in ATTRIBUTES or attribute.startswith(CUSTOM)
        if not known:
            raise invalid(f"fields.{number}.attribute", "cannot be asked for by a form")
    _check_consents(definition, state)


def _check_consents(definition: FormDefined, state: Forms) -> None:
    if len(definition.consents) > MOST_CONSENTS:
        raise invalid("consents", f"at most {MOST_CONSENTS}")
    pairs = [(each.topic, each.channel) for each in definition.consents]
    if len(set(pairs)) != len(pairs):
        raise invalid("consents", "each topic and channel may be asked for once")
    for number, each in enumerate(definition.consents):
        known = state.wordings.get((each.topic, each.channel, each.wording))
        if known is not None and dict(known) != dict(each.texts):
            raise invalid(
                f"consents.{number}.wording", "this version has other texts: give it another name"
            )


def check_form_fields(definition: FormDefined, fields: Fields) -> None:
    """Raise `Refused` for a question after a custom field that takes no values."""
    for number, each in enumerate(definition.fields):
        name = each.attribute.removeprefix(CUSTOM)
        if not each.attribute.startswith(CUSTOM):
            continue
        if not fields.lives(name):
            raise invalid(f"fields.{number}.attribute", "there is no such custom field")
        if fields.items[name].definition.kind == "money":
            raise invalid(f"fields.{number}.attribute", "amounts cannot be asked for by a form")


RULES: Rules[FormDefined, Forms] = Rules(
    kind="form",
    archived=lambda name: FormArchived(form=name),
    restored=lambda name: FormRestored(form=name),
    check=check_form,
)


def decide(command: FormCommand, state: Forms) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    return decide_item(RULES, command, state)


def evolve(state: Forms, data: EventData) -> Forms:
    """The forms after an event."""
    match data:
        case FormDefined(form=name):
            texts: dict[Wording, Mapping[str, str]] = {
                (each.topic, each.channel, each.wording): each.texts for each in data.consents
            }
            return replace(state.with_definition(name, data), wordings={**state.wordings, **texts})
        case FormArchived(form=name):
            return state.with_archived(name, archived=True)
        case FormRestored(form=name):
            return state.with_archived(name, archived=False)
        case _:
            message = f"forms have no event {data.type}"
            raise TypeError(message)


FORMS: Decider[FormCommand, Forms] = Decider(Forms, decide, evolve)
