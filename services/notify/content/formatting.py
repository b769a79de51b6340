"""Dates, numbers and money as people of a language write them (CLDR, by Babel).

Each filter takes what a template can hold and refuses the rest: a wrong amount is worse than none.
"""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Literal, cast, get_args

from babel.dates import format_date, format_skeleton
from babel.numbers import format_decimal

from shared.wording import Wording

LARGEST = 10**15
"""Of numbers that are written: nothing that a chain counts is larger."""
PLACES = 12
"""After the point."""
DAY = "day"
Length = Literal["full", "long", "medium", "short"]
_LENGTHS = get_args(Length)
_DAY_AND_MONTH = "MMMMd"


def shown(wording: Wording, value: object, length: object = "medium") -> str:
    """A date, or text of one (ISO 8601): short, medium, long, full, or `day` without the year.

    Raises ValueError for anything else.
    """
    day = value if isinstance(value, date) else date.fromisoformat(str(value))
    if length == DAY:
        return str(format_skeleton(_DAY_AND_MONTH, day, locale=wording.locale))
    if length not in _LENGTHS:
        raise ValueError(f"a date is shown {', '.join(_LENGTHS)} or {DAY}")
    return str(format_date(day, cast("Length", length), locale=wording.locale))


def number(wording: Wording, value: object) -> str:
    """A number with the separators of the language. Raises ValueError."""
    return str(format_decimal(_decimal(value), locale=wording.locale))


def money(wording: Wording, value: object) -> str:
    """Minor units with the sign of the chain's currency. Raises ValueError."""
    amount = _decimal(value)
    if amount != amount.to_integral_value():
        raise ValueError("money is a whole number of minor units")
    return wording.money(int(amount))


def _decimal(value: object) -> Decimal:
    try:
        found = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or abs(found) > LARGEST or -_exponent(found) > PLACES:
        raise ValueError("is no number")
    return found


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


FORMATTING: Mapping[str, Callable[..., str]] = {"date": shown, "number": number, "money": money}
