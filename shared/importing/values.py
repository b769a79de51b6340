"""From the text of a cell to a value: people write dates, sums and yes in many ways.

Each reader raises `WrongCell`, whose message says what would be right and never what stands there.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from shared.decider import Refused
from shared.events.customer import IdentifierKind
from shared.identifiers import IdentifierRules, KnownIdentifier
from shared.money import to_minor

DateOrder = Literal["dmy", "mdy"]
Mark = Literal["", ".", ","]
MoneyUnit = Literal["major", "minor"]
REMEMBERED = 1 << 14
"""Numbers and amounts that come again and again: most lines of a shop cost what others do."""
YES = frozenset(
    {"yes", "y", "true", "1", "+", "on", "да", "д", "есть", "истина"}
    | {"согласен", "согласна", "подписан", "подписана"}
)
NO = frozenset(
    {"no", "n", "false", "0", "-", "off", "нет", "н", "ложь"}
    | {"отказ", "отказался", "отказалась", "отписан", "отписана"}
)
_DAY_FIRST = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})(?:[ T].*)?")
_DAY_AND_TIME = re.compile(
    r"(\d{1,4}[./-]\d{1,2}[./-]\d{1,4})"
    r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp][Mm])?)?"
)
_MOMENT = "a moment such as 2017-12-31 18:30 or 31.12.2017 18:30:00"
_BLANKS = re.compile(r"[\s\u00a0\u202f']")
_CURRENCY = re.compile(r"^[^\d.,+-]+|[^\d.,]+\.?$")
_GROUPS = re.compile(r"[+-]?\d{1,3}(?:[.,]\d{3})+")
_THOUSAND = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_SPLIT = re.compile(r"[,;|\n]+")
_SPLIT_CONTACTS = re.compile(r"[,;|\n]+|\s/\s")


class WrongCell(Exception):  # noqa: N818 - says what is wrong with the input
    """A cell that cannot be what its column is; the message says what would be right."""


def several(text: str) -> Sequence[str]:
    """The parts of a cell that lists something."""
    return [part for each in _SPLIT.split(text) if (part := each.strip())]


def contacts(text: str) -> Sequence[str]:
    """The phones or addresses of a cell."""
    return [part for each in _SPLIT_CONTACTS.split(text) if (part := each.strip())]


def day(text: str, order: DateOrder) -> date:
    """A date: ISO 8601, or day and month in the file's order with a year of four digits."""
    found = _DAY_FIRST.fullmatch(text)
    try:
        if found is None:
            return date.fromisoformat(text[:10].replace("/", "-").replace(".", "-"))
        first, second, year = int(found[1]), int(found[2]), int(found[3])
        return date(year, second, first) if order == "dmy" else date(year, first, second)
    except ValueError:
        raise WrongCell("a date such as 2017-12-31 or 31.12.2017") from None


def moment(text: str, order: DateOrder) -> datetime:
    """A moment in UTC: ISO 8601 with its zone, or a date, whose midnight (UTC) is meant."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = datetime.combine(day(text, order), datetime.min.time())
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def yes_no(text: str) -> bool:
    """Yes or no, in one of the ways people say it."""
    said = text.casefold().strip(" .!")
    if said in YES:
        return True
    if said in NO:
        return False
    raise WrongCell("yes or no")


@lru_cache(maxsize=REMEMBERED)
def number(text: str, mark: Mark = "") -> Decimal:
    """A number. `mark` is what stands before its decimals; the other one then parts thousands.

    Where the file does not say: of a point and a comma the one that comes last, and one alone.
    """
    plain = _BLANKS.sub("", text)
    if not mark:
        mark = "," if plain.rfind(",") > plain.rfind(".") else "."
        if plain.count(mark) > 1:
            mark = "." if mark == "," else ","
    apart = "," if mark == "." else "."
    if apart in plain and not _GROUPS.fullmatch(plain.partition(mark)[0]):
        raise WrongCell("a number")
    plain = plain.replace(apart, "").replace(mark, ".")
    try:
        found = Decimal(plain)
    except InvalidOperation:
        raise WrongCell("a number") from None
    if not found.is_finite() or abs(found) > Decimal(2**53):
        raise WrongCell("a number")
    return found


def whole(text: str) -> int:
    """A whole number."""
    found = number(text)
    if found != found.to_integral_value():
        raise WrongCell("a whole number")
    return int(found)


@lru_cache(maxsize=REMEMBERED)
def money(text: str, unit: MoneyUnit, mark: Mark = "") -> int:
    """An amount in minor units, whatever currency stands beside it; (12.50) is less than nothing.

    What could be a thousand as well as three decimals is refused until the file says which.
    """
    plain = _BLANKS.sub("", text)
    negative = plain.startswith("(") and plain.endswith(")")
    plain = _CURRENCY.sub("", plain.strip("()"))
    if unit == "minor":
        amount = whole(plain)
    elif not mark and _THOUSAND.fullmatch(plain):
        raise WrongCell("an amount with two decimals; else say which mark they stand behind")
    else:
        amount = to_minor(number(plain, mark))
    return -amount if negative else amount


def local_moment(text: str, order: DateOrder, zone: ZoneInfo) -> datetime:
    """A moment in UTC: a date with a time of day, in the zone where it has no offset of its own."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = _people_write(text, order)
    return (found.replace(tzinfo=zone) if found.tzinfo is None else found).astimezone(UTC)


def _people_write(text: str, order: DateOrder) -> datetime:
    parts = _DAY_AND_TIME.fullmatch(text)
    if parts is None:
        raise WrongCell(_MOMENT)
    date_of, hour = day(parts[1], order), int(parts[2] or 0)
    if half := parts[5]:
        hour = hour % 12 + (12 if half.casefold() == "pm" else 0)
    try:
        return datetime.combine(date_of, time(hour, int(parts[3] or 0), int(parts[4] or 0)))
    except ValueError:
        raise WrongCell(_MOMENT) from None


def identifier(
    rules: IdentifierRules, kind: IdentifierKind, text: str, path: str
) -> KnownIdentifier:
    """The identifier; spreadsheets take the plus from phones that have a country code."""
    try:
        return rules.known(kind, text, path)
    except Refused:
        if kind == "phone" and text.isdecimal():
            return rules.known(kind, f"+{text}", path)
        raise
