"""Verdicts of clauses about calendar days.

Truth changes only as a day begins. So everything is asked in days, and only the day at which it may
change next is turned into an instant: the beginning of that day in the zone, whatever the clocks do
in between.
"""

from collections.abc import Iterator
from datetime import date

from services.segment.rules.days import LAST_DAY, begin_of, day_of, in_year, parsed, years_between
from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.dates import Age, Date, From, Last, Next, On, Passed, Today
from services.segment.rules.language.fields import REGISTERED
from services.segment.rules.language.kinds import RECEIPTS
from services.segment.rules.view import View
from services.segment.rules.words import Attribute

FALSE = Verdict(value=False, next=None)
Stretch = tuple[int, int]
"""Days on which something is true: from the first on, and before the second."""


def dated(rule: Date, view: View, at: int) -> Verdict:
    """Whether the date, or its anniversary, passes the test on the day of the instant."""
    zone = zone_of(rule, view)
    day = day_in(rule.field, view, zone)
    if day is None:
        return FALSE
    today = day_of(at, zone)
    if rule.yearly:
        if isinstance(rule.test, On | From):
            return Verdict(_in_part_of_year(rule, day), None)
        stretches = list(_yearly(rule, day, today))
    elif isinstance(rule.test, On | From):
        low, high = rule.bounds
        return Verdict(low <= day <= high, None)
    else:
        stretches = [_once(rule, day)]
    return _verdict(stretches, today, zone)


def zone_of(rule: Date | Age, view: View) -> str:
    """Whose days count."""
    if rule.zone != "branch":
        return view.surroundings.zone
    home = view.known.on(Attribute, "home_branch")
    return view.surroundings.zone_of(None if home is None else home.value)


def day_in(field: str, view: View, zone: str) -> int | None:
    """The day that a field names, or in which what it is about happened."""
    match field:
        case "first_receipt":
            first = view.tally(RECEIPTS).first
            return None if first is None else day_of(first, zone)
        case "last_receipt":
            last = view.tally(RECEIPTS).last
            return None if last is None else day_of(last, zone)
    word = view.known.on(Attribute, field)
    value = None if word is None else word.value
    if field == REGISTERED:
        return day_of(value, zone) if isinstance(value, int) else None
    return parsed(value) if isinstance(value, str) else None


def _once(rule: Date, day: int) -> Stretch:
    match rule.test:
        case Next(days=days):
            return day - days + 1, day + 1
        case Last(days=days):
            return day, day + days
        case Passed():
            return day + 1, LAST_DAY
        case _:
            return day, day + 1


def _yearly(rule: Date, day: int, today: int) -> Iterator[Stretch]:
    """What the anniversaries make true that are near: those a year away and less."""
    origin = date.fromordinal(day)
    year = date.fromordinal(today).year
    first = max(origin.year + 1, year - 1)
    for near in range(first, min(max(first, year) + 3, date.max.year)):
        anniversary = in_year(origin.month, origin.day, near)
        match rule.test:
            case Next(days=days):
                yield anniversary - days + 1, anniversary + 1
            case Last(days=days):
                yield anniversary, anniversary + days
            case Passed():
                yield anniversary + 1, date(near + 1, 1, 1).toordinal()
            case Today():
                yield anniversary, anniversary + 1


def _in_part_of_year(rule: Date, day: int) -> bool:
    """Whether the day of the year lies in a part of it, which may go round its end."""
    origin = date.fromordinal(day)
    low, high = rule.bounds
    place = in_year(origin.month, origin.day, date.fromordinal(low).year)
    return low <= place <= high if low <= high else place >= low or place <= high


def _verdict(stretches: list[Stretch], today: int, zone: str) -> Verdict:
    value = any(begin <= today < end for begin, end in stretches)
    edges = (edge for stretch in stretches for edge in stretch if today < edge < LAST_DAY)
    changes = min(edges, default=None)
    return Verdict(value, None if changes is None else begin_of(changes, zone))


def age(rule: Age, view: View, at: int) -> Verdict:
    """Whether the customer is so old on the day of the instant."""
    years = age_of(rule, view, at)
    if years is None:
        return FALSE
    zone = zone_of(rule, view)
    birth = day_in("birth_date", view, zone) or 0
    low, high = rule.bounds
    value = years >= 0 and low <= years <= high
    # The years at which the truth may change: at birth, on coming into the bounds and leaving them.
    ahead = [edge for edge in (0, low, high + 1) if edge > years]
    if not ahead:
        return Verdict(value, None)
    born = date.fromordinal(birth)
    year = born.year + min(ahead)
    if year >= date.max.year:
        return Verdict(value, None)
    return Verdict(value, begin_of(in_year(born.month, born.day, year), zone))


def age_of(rule: Age, view: View, at: int) -> int | None:
    """Whole years; None where the date of birth is unknown.

    Below 0 while the date of birth is still to come: then there is no age that would be true.
    """
    zone = zone_of(rule, view)
    birth = day_in("birth_date", view, zone)
    return None if birth is None else years_between(birth, day_of(at, zone))
