"""From the text of a cell to a value: people write dates, sums and yes in many ways.

Each reader raises `WrongCell`, whose message says what would be right and never what stands there.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Literal

DateOrder = Literal["dmy", "mdy"]
YES = frozenset(
    {"yes", "y", "true", "1", "+", "on", "да", "д", "есть", "истина"}
    | {"согласен", "согласна", "подписан", "подписана"}
)
NO = frozenset(
    {"no", "n", "false", "0", "-", "off", "нет", "н", "ложь"}
    | {"отказ", "отказался", "отказалась", "отписан", "отписана"}
)
_DAY_FIRST = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})(?:[ T].*)?")
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


def number(text: str) -> Decimal:
    """A number with a point or a comma before its decimals, and blanks between thousands."""
    plain = re.sub(r"[\s\u00a0\u202f']", "", text)
    if "," in plain and "." not in plain:
        plain = plain.replace(",", ".")
    try:
        found = Decimal(plain.replace(",", ""))
    except InvalidOperation:
        raise WrongCell("a number") from None
    if not found.is_finite() or abs(found) > Decimal(2**53):
        raise WrongCell("a number")
    return found
