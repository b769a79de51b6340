"""Sentences of clauses about what is known."""

from typing import assert_never

from services.segment.rules.language.record import (
    CUSTOM,
    Attribute,
    Consent,
    Is,
    IsAnyOf,
    IsNot,
    Known,
)
from services.segment.rules.sentences.words import either, value
from shared.wording import Wording

_FIELDS = {
    "home_branch": "home branch",
    "language": "language",
    "gender": "gender",
    "acquisition": "source of acquisition",
}


def attribute(rule: Attribute, wording: Wording) -> str:
    """What a field is."""
    custom = rule.field.startswith(CUSTOM)
    name = rule.field.removeprefix(CUSTOM) if custom else wording.text(_FIELDS[rule.field])
    match rule.test:
        case Is():
            text, said = "{name} is {value}", value(rule.test.value, wording)
        case IsNot():
            text, said = "{name} is not {value}", value(rule.test.value, wording)
        case IsAnyOf():
            text, said = "{name} is {value}", either(rule.test.values, wording)
        case Known():
            text, said = "{name} is known", ""
        case _:
            assert_never(rule.test)
    return wording.text(text).format(name=name, value=said)


def consent(rule: Consent, wording: Wording) -> str:
    """What the customer agrees to."""
    text = wording.text("agrees to {topic} by {channel}")
    return text.format(topic=rule.topic, channel=rule.channel)
