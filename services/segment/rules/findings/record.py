"""Findings of clauses about what is known."""

from services.segment.rules.findings.finding import Finding
from services.segment.rules.language.record import Attribute, Consent
from services.segment.rules.view import View
from services.segment.rules.words import Attribute as Held
from services.segment.rules.words import Consent as Word


def attribute(rule: Attribute, view: View, _at: int) -> Finding:
    """The field's value."""
    word = view.known.on(Held, rule.field)
    return Finding(None) if word is None else Finding(word.value, (word,))


def consent(rule: Consent, view: View, _at: int) -> Finding:
    """Whether it was given; nothing where nobody has said."""
    word = view.known.on(Word, f"{rule.topic}|{rule.channel}")
    return Finding(None) if word is None else Finding(word.given, (word,))
