"""Small words that sentences share."""

from collections.abc import Sequence
from datetime import date

from babel.dates import format_date

from services.segment.rules.instants import UNITS
from services.segment.rules.language.forms import Comparison, Value
from shared.wording import Wording

_SIGNS = {">=": "≥", ">": ">", "<=": "≤", "<": "<"}

_LAST = {
    UNITS["day"]: " within 1 day",
    UNITS["hour"]: " within 1 hour",
    UNITS["minute"]: " within 1 minute",
}
"""Other languages say one of them without its number."""


def sign(compare: Comparison, wording: Wording) -> str:
    """The sign of a comparison."""
    return _SIGNS.get(compare.op) or wording.text("exactly")


def amount(compare: Comparison, wording: Wording) -> str:
    """A comparison of money."""
    return f"{sign(compare, wording)} {wording.money(compare.value)}"


def span(length: int, wording: Wording) -> str:
    """Milliseconds: `30 days`, `1 day 12 hours`. Weeks are shown as days."""
    counts = []
    for unit in ("day", "hour", "minute"):
        count, length = divmod(length, UNITS[unit])
        counts.append(count)
    days, hours, minutes = counts
    said = [
        wording.plural("{n} day", "{n} days", days).format(n=days) if days else "",
        wording.plural("{n} hour", "{n} hours", hours).format(n=hours) if hours else "",
        wording.plural("{n} minute", "{n} minutes", minutes).format(n=minutes) if minutes else "",
    ]
    return " ".join(part for part in said if part)


def within(length: int, wording: Wording) -> str:
    """Milliseconds that end now."""
    last = _LAST.get(length)
    if last is not None:
        return wording.text(last)
    return wording.text(" within {span}").format(span=span(length, wording))


def either(values: Sequence[Value], wording: Wording) -> str:
    """One of several values."""
    return wording.text(" or ").join(value(each, wording) for each in values)


def value(shown: Value, wording: Wording) -> str:
    """A value of a field."""
    if isinstance(shown, bool):
        return wording.text("yes") if shown else wording.text("no")
    return str(shown)


def listed_day(text: str, wording: Wording) -> str:
    """A date such as `2017-12-31`."""
    return wording.day(date.fromisoformat(text))


def day_of_year(text: str, wording: Wording) -> str:
    """A day of any year such as `12-24`."""
    return format_date(date.fromisoformat(f"2000-{text}"), "d MMMM", locale=wording.locale)


def how_many(compare: Comparison, wording: Wording) -> str:
    """A comparison of a number."""
    return f"{sign(compare, wording)} {wording.number(compare.value)}"
