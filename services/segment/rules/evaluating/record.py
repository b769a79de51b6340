"""Verdicts of clauses about what is known."""

from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.forms import Value
from services.segment.rules.language.record import Attribute, Consent, Is, IsAnyOf, IsNot
from services.segment.rules.view import View
from services.segment.rules.words import Attribute as Held
from services.segment.rules.words import Consent as Word
from services.segment.rules.words import FieldValue


def attribute(rule: Attribute, view: View, _at: int) -> Verdict:
    """Whether the field passes the test."""
    word = view.known.on(Held, rule.field)
    held = None if word is None else word.value
    match rule.test:
        case Is() | IsAnyOf():
            value = held is not None and _has_one(held, rule.values)
        case IsNot():
            value = held is None or not _has_one(held, rule.values)
        case _:
            value = held is not None
    return Verdict(value, None)


def _has_one(held: FieldValue, wanted: tuple[Value, ...]) -> bool:
    """Whether a held value is wanted. Python holds that 1 equals True; a marketer does not."""
    values = held if isinstance(held, tuple) else (held,)
    return any(
        value == choice and isinstance(value, bool) is isinstance(choice, bool)
        for value in values
        for choice in wanted
    )


def consent(rule: Consent, view: View, _at: int) -> Verdict:
    """Whether the customer agrees."""
    word = view.known.on(Word, f"{rule.topic}|{rule.channel}")
    return Verdict(word is not None and word.given, None)
