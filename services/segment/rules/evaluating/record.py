"""Verdicts of clauses about what is known."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.criteria import Begins, Between, Contains
from services.segment.rules.language.fields import DISCOUNT, FIELDS, MISUSE
from services.segment.rules.language.forms import Comparison, Value
from services.segment.rules.language.record import Attribute, Consent, Contact
from services.segment.rules.view import View
from services.segment.rules.words import Attribute as Held
from services.segment.rules.words import Consent as ConsentWord
from services.segment.rules.words import Contact as ContactWord
from services.segment.rules.words import ContactsAnew, FieldValue, Item, Revoked

State = Literal["given", "withdrawn", "unknown"]


def attribute(rule: Attribute, view: View, _at: int) -> Verdict:
    """Whether the field passes the test."""
    held = value_of(view, rule.field)
    return Verdict(TESTS[rule.test.op](rule, held), None)


def value_of(view: View, field: str) -> FieldValue | None:
    """What a field holds; None where nothing is known."""
    holds = FIELDS.get(field)
    if holds in {"several", "number"}:
        values = [item.value for item in view.known.every(Item, field).values()]
        if field == DISCOUNT:
            return max((value for value in values if isinstance(value, int)), default=0)
        if field == MISUSE:
            return sum(value is not None for value in values)
        return tuple(sorted({value for value in values if isinstance(value, str)})) or None
    word = view.known.on(Held, field)
    held = None if word is None else word.value
    return False if held is None and holds == "yes_no" else held


def _is(rule: Attribute, held: FieldValue | None) -> bool:
    return held is not None and _has_one(held, rule.values)


def _is_not(rule: Attribute, held: FieldValue | None) -> bool:
    return held is None or not _has_one(held, rule.values)


def _known(_rule: Attribute, held: FieldValue | None) -> bool:
    return held is not None


def _contains(rule: Attribute, held: FieldValue | None) -> bool:
    wanted = rule.test.folded if isinstance(rule.test, Contains) else ""
    return any(wanted in text.casefold() for text in _texts(held))


def _begins(rule: Attribute, held: FieldValue | None) -> bool:
    wanted = rule.test.folded if isinstance(rule.test, Begins) else ""
    return any(text.casefold().startswith(wanted) for text in _texts(held))


def _between(rule: Attribute, held: FieldValue | None) -> bool:
    return isinstance(rule.test, Between) and rule.test.holds(held)


def _compared(rule: Attribute, held: FieldValue | None) -> bool:
    if isinstance(held, bool) or not isinstance(held, int):
        return False
    low, high = rule.test.bounds if isinstance(rule.test, Comparison) else (0, 0)
    return low <= held <= high


TESTS: Mapping[str, Callable[[Attribute, FieldValue | None], bool]] = {
    "is": _is,
    "is_not": _is_not,
    "any_of": _is,
    "known": _known,
    "contains": _contains,
    "begins": _begins,
    "between": _between,
    **dict.fromkeys((">=", ">", "<=", "<", "=="), _compared),
}


def _texts(held: FieldValue | None) -> tuple[str, ...]:
    if isinstance(held, str):
        return (held,)
    return held if isinstance(held, tuple) else ()


def _has_one(held: FieldValue, wanted: tuple[Value, ...]) -> bool:
    """Whether a held value is wanted. Python holds that 1 equals True; a marketer does not."""
    values: tuple[Any, ...] = held if isinstance(held, tuple) else (held,)
    return any(
        value == choice and isinstance(value, bool) is isinstance(choice, bool)
        for value in values
        for choice in wanted
    )


def contacts_of(view: View) -> Iterable[ContactWord]:
    """The identifiers that are there."""
    anew = view.known.on(ContactsAnew, "")
    since = 0 if anew is None else anew.version
    for contact in view.known.every(ContactWord).values():
        if contact.there and contact.there_version >= since:
            yield contact


def consent(rule: Consent, view: View, _at: int) -> Verdict:
    """Whether the customer agrees, or what else was said."""
    return Verdict(consent_state(rule, view) == (rule.state or "given"), None)


def consent_state(rule: Consent, view: View) -> State:
    """What counts of all that was said on the topic."""
    state: State = "unknown"
    hashes: set[str] | None = None
    for word in view.known.every(ConsentWord, rule.topic).values():
        if word.given is None or rule.channel not in {None, word.channel}:
            continue
        if word.given and not _is_revoked(word, view):
            if word.contact and hashes is None:
                hashes = {contact.hash for contact in contacts_of(view)}
            if not word.contact or word.contact in (hashes or ()):
                return "given"
        else:
            state = "withdrawn"
    return state


def _is_revoked(word: ConsentWord, view: View) -> bool:
    revoked = view.known.on(Revoked, f"{word.topic}|{word.channel}", word.topic)
    return revoked is not None and revoked.version > word.version


def identifier(rule: Contact, view: View, _at: int) -> Verdict:
    """Whether there are such identifiers."""
    there = [each for each in contacts_of(view) if each.kind == rule.identifier]
    match rule.test:
        case Comparison(bounds=(low, high)):
            value = low <= len(there) <= high
        case test if test.op == "known":
            value = bool(there)
        case test:
            value = any(each.state == test.op for each in there)
    return Verdict(value, None)
