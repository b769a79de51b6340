"""Values as texts that compare as the values do; the key of a value in a column.

A key is `<shelf><0 or 1><value>|<customer>`: unique, so that a page goes on from it alone; 0 stands
where there is no value, so that those come first.
"""

from datetime import UTC, datetime

from services.customer.domain.writing_forms import folded

NUMBER_OFFSET = 10**16
NUMBER_WIDTH = 17
LONGEST_TEXT = 60


def number_text(value: int) -> str:
    """A whole number below 10^16 of either sign, as a text of one width."""
    return f"{value + NUMBER_OFFSET:0{NUMBER_WIDTH}d}"


def moment_text(value: datetime) -> str:
    """A moment in UTC, to the millisecond."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds")


def value_text(value: object) -> str | None:
    """The text of a column's value; None for what has no order of its own."""
    match value:
        case bool():
            return str(int(value))
        case int():
            return number_text(value)
        case datetime():
            return moment_text(value)
        case str():
            return folded(value)[:LONGEST_TEXT]
        case _:
            return None


def key_of(shelf: str, value: object, customer: str) -> str:
    """The key of a value in a column."""
    text = value_text(value)
    return f"{shelf}0|{customer}" if text is None else f"{shelf}1{text}|{customer}"
