"""Findings of clauses about what is known."""

from datetime import date

from services.segment.rules.evaluating.dates import age_of, day_in, zone_of
from services.segment.rules.evaluating.deals import deals_of
from services.segment.rules.evaluating.deals import passes as deal_passes
from services.segment.rules.evaluating.record import consent_state, contacts_of, value_of
from services.segment.rules.evaluating.tasks import passes as task_passes
from services.segment.rules.evaluating.tasks import tasks_of
from services.segment.rules.findings.finding import Finding
from services.segment.rules.happened import Happened
from services.segment.rules.language.dates import Age, Date
from services.segment.rules.language.deals import Deals
from services.segment.rules.language.kinds import RECEIPTS
from services.segment.rules.language.record import Attribute, Consent, Contact
from services.segment.rules.language.tasks import Tasks
from services.segment.rules.view import View
from services.segment.rules.words import Attribute as Held
from services.segment.rules.words import Consent as ConsentWord
from services.segment.rules.words import Item, Revoked, Word


def attribute(rule: Attribute, view: View, _at: int) -> Finding:
    """The field's value."""
    items = view.known.every(Item, rule.field).values()
    behind: list[Word] = [item for item in items if item.value is not None]
    word = view.known.on(Held, rule.field)
    if word is not None:
        behind.append(word)
    return Finding(value_of(view, rule.field), behind)


def consent(rule: Consent, view: View, _at: int) -> Finding:
    """What was said of it; nothing where nobody has said."""
    state = consent_state(rule, view)
    said: list[ConsentWord | Revoked] = [
        *view.known.every(ConsentWord, rule.topic).values(),
        *view.known.every(Revoked, rule.topic).values(),
    ]
    heard = [word for word in said if rule.channel in {None, word.channel}]
    return Finding(None if state == "unknown" else state, sorted(heard, key=_version))


def identifier(rule: Contact, view: View, _at: int) -> Finding:
    """How many there are."""
    there = [each for each in contacts_of(view) if each.kind == rule.identifier]
    return Finding(len(there), sorted(there, key=_version))


def dated(rule: Date, view: View, _at: int) -> Finding:
    """The date; where it is that of a receipt, the receipts that are kept of it."""
    if rule.field.endswith("_receipt"):
        tally = view.tally(RECEIPTS)
        moment = tally.first if rule.field == "first_receipt" else tally.last
        return Finding(_date(rule, view), [one for one in view.receipts if one.time == moment])
    word = view.known.on(Held, rule.field)
    return Finding(_date(rule, view), () if word is None else (word,))


def age(rule: Age, view: View, at: int) -> Finding:
    """Whole years."""
    word = view.known.on(Held, "birth_date")
    return Finding(age_of(rule, view, at), () if word is None else (word,))


def deals(rule: Deals, view: View, at: int) -> Finding:
    """How many there are that count."""
    found = [
        deal
        for deal in deals_of(view)
        if rule.where is None or deal_passes(deal, rule.where, at).value
    ]
    return Finding(len(found), sorted(found, key=_version))


def tasks(rule: Tasks, view: View, at: int) -> Finding:
    """How many there are that count."""
    found = [
        task
        for task in tasks_of(view)
        if rule.where is None or task_passes(task, rule.where, at).value
    ]
    return Finding(len(found), sorted(found, key=_version))


def _date(rule: Date, view: View) -> str | None:
    day = day_in(rule.field, view, zone_of(rule, view))
    return None if day is None else date.fromordinal(day).isoformat()


def _version(word: Happened | Word) -> int:
    return word.version
