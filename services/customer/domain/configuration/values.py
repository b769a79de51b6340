"""Values of custom fields: each type has one written form, so that equal values compare equal.

Text is stripped; numbers are whole (of 10^-decimals), money is minor units; dates are
`YYYY-MM-DD`; a list holds the name of a choice, a multi-list those of several, in the order in
which the field has them.
"""

from collections.abc import Mapping
from datetime import date
from typing import assert_never

from shared.events.configuration import FieldDefined

FieldValue = str | int | bool | tuple[str, ...]
LARGEST = 2**53
"""What JSON numbers hold exactly in every language."""
LONGEST_TEXT = 2000


class WrongValue(Exception):  # noqa: N818 - says what is wrong with the input, not with the program
    """A value that the field does not take; the message says what would be right."""


def normalised(definition: FieldDefined, value: object) -> FieldValue:
    """The value in its one written form. Raises `WrongValue`."""
    match definition.kind:
        case "text":
            return _text(value)
        case "number" | "money":
            return _whole(value, definition.kind == "money")
        case "date":
            return _date(value)
        case "yes_no":
            if not isinstance(value, bool):
                raise WrongValue("true or false")
            return value
        case "list":
            return _chosen(definition, value)
        case "multi_list":
            return _several(definition, value)
        case _:
            assert_never(definition.kind)


def _text(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not 0 < len(text) <= LONGEST_TEXT:
        message = f"a text of 1 to {LONGEST_TEXT} characters"
        raise WrongValue(message)
    return text


def _whole(value: object, money: bool) -> int:  # noqa: FBT001 - only for the wording
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST:
        raise WrongValue("a whole number of minor units" if money else "a whole number")
    return value


def _date(value: object) -> str:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "").isoformat()
    except ValueError:
        raise WrongValue("a date such as 2017-12-31") from None


def _chosen(definition: FieldDefined, value: object) -> str:
    names = [choice.name for choice in definition.choices]
    if not isinstance(value, str) or value not in names:
        raise WrongValue(f"one of: {', '.join(names)}")
    return value


def _several(definition: FieldDefined, value: object) -> tuple[str, ...]:
    names = [choice.name for choice in definition.choices]
    if (
        not isinstance(value, list | tuple)
        or not value
        or not all(isinstance(each, str) and each in names for each in value)
    ):
        raise WrongValue(f"one or more of: {', '.join(names)}")
    return tuple(name for name in names if name in value)


def same(before: Mapping[str, FieldValue], name: str, value: object) -> bool:
    """Whether the record has this very value already: then nobody asks what the field takes now."""
    known = before.get(name)
    if isinstance(known, tuple) and isinstance(value, list):
        return known == tuple(value)
    return known is not None and type(known) is type(value) and known == value
