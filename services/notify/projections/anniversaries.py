"""Which days of the year mean something for a customer: what campaigns on a date look for.

A key is `<field>|MM-DD`; the fields are `birth_date`, `registered` (the day in UTC) and
`custom.<name>` of every custom field that holds a date.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime

REGISTERED = "registered"
BIRTH_DATE = "birth_date"
CUSTOM = "custom."


def parsed(text: object) -> date | None:
    """The date that a value such as `2017-12-31` is; None for any other."""
    if not isinstance(text, str):
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.isoformat() == text else None


def day_key(field: str, day: date) -> str:
    """The key of a day of the year."""
    return f"{field}|{day:%m-%d}"


def day_keys(
    birth_date: str | None, registered_at: datetime | None, custom: Mapping[str, str]
) -> list[str]:
    """The keys of a customer's days."""
    days = {f"{CUSTOM}{name}": parsed(value) for name, value in custom.items()}
    days[BIRTH_DATE] = parsed(birth_date)
    days[REGISTERED] = None if registered_at is None else registered_at.date()
    return sorted(day_key(field, day) for field, day in days.items() if day is not None)


def dates_after(
    dates: Mapping[str, str], changed: Mapping[str, object], cleared: Collection[str]
) -> dict[str, str]:
    """The custom fields that hold dates, after some were given values and others cleared."""
    kept = {
        name: value
        for name, value in dates.items()
        if name not in changed and f"{CUSTOM}{name}" not in cleared
    }
    return kept | {
        name: value
        for name, value in changed.items()
        if isinstance(value, str) and parsed(value) is not None
    }
