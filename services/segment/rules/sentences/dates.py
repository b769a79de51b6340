"""Sentences of clauses about calendar days."""

from services.segment.rules.language.dates import (
    Age,
    AgeBetween,
    Date,
    From,
    Last,
    Next,
    On,
    Passed,
    Today,
)
from services.segment.rules.language.fields import CUSTOM
from services.segment.rules.sentences.words import day_of_year, listed_day, sign
from shared.wording import Wording

_NAMES = {
    "birth_date": "date of birth",
    "registered": "registration",
    "first_receipt": "first receipt",
    "last_receipt": "last receipt",
}
_YEARLY = {
    "birth_date": "birthday",
    "registered": "anniversary of the registration",
    "first_receipt": "anniversary of the first receipt",
    "last_receipt": "anniversary of the last receipt",
}


def dated(rule: Date, wording: Wording) -> str:
    """Where a date lies."""
    if rule.field.startswith(CUSTOM):
        name = rule.field.removeprefix(CUSTOM)
        if rule.yearly:
            name = wording.text("anniversary of {name}").format(name=name)
    else:
        name = wording.text((_YEARLY if rule.yearly else _NAMES)[rule.field])
    return _in_zone(_when(rule, name, wording), rule, wording)


def _when(rule: Date, name: str, wording: Wording) -> str:
    match rule.test:
        case Today() | Next(days=1) | Last(days=1):
            return wording.text("{name} today").format(name=name)
        case Next(days=days):
            text = wording.plural(
                "{name} within the next {n} day, today included",
                "{name} within the next {n} days, today included",
                days,
            )
            return text.format(name=name, n=days)
        case Last(days=days):
            text = wording.plural(
                "{name} within the last {n} day, today included",
                "{name} within the last {n} days, today included",
                days,
            )
            return text.format(name=name, n=days)
        case Passed() if rule.yearly:
            return wording.text("{name} over for this year").format(name=name)
        case Passed():
            return wording.text("{name} before today").format(name=name)
        case On(day=day):
            return wording.text("{name} on {day}").format(name=name, day=_day(rule, day, wording))
        case From(low=low, high=high):
            text = wording.text("{name} between {low} and {high}")
            return text.format(
                name=name, low=_day(rule, low, wording), high=_day(rule, high, wording)
            )


def _day(rule: Date, day: str, wording: Wording) -> str:
    return day_of_year(day, wording) if rule.yearly else listed_day(day, wording)


def age(rule: Age, wording: Wording) -> str:
    """How old the customer is."""
    if isinstance(rule.test, AgeBetween):
        text = wording.plural(
            "between {low} and {high} year old", "between {low} and {high} years old",
            rule.test.high,
        )  # fmt: skip
        said = text.format(low=rule.test.low, high=rule.test.high)
    elif rule.test.op == "==":
        years = rule.test.value
        said = wording.plural("exactly {n} year old", "exactly {n} years old", years)
        said = said.format(n=years)
    else:
        years = rule.test.value
        text = wording.plural("{sign} {n} year old", "{sign} {n} years old", years)
        said = text.format(sign=sign(rule.test, wording), n=years)
    return _in_zone(said, rule, wording)


def _in_zone(said: str, rule: Date | Age, wording: Wording) -> str:
    if rule.zone != "branch":
        return said
    return wording.text("{clause} (days of the home branch)").format(clause=said)
