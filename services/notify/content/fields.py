"""What a template may say of a customer, with a sample of each.

A text of which nothing can be seen counts as missing: a greeting of nobody is a hole. Values are of
one line: a control character in a name is a space.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from services.notify.content.blank import blank, in_one_line

Value = str | date
FIELDS: Mapping[str, Value] = MappingProxyType(
    {
        "customer.name": "Anna",
        "customer.surname": "Smith",
        "customer.patronymic": "Petrovna",
        "customer.language": "en",
        "customer.birth_date": date(1990, 5, 17),
        "customer.city": "Riga",
        "coupon.code": "SPRING-K7QM2XNPB",
        "coupon.valid_until": date(2018, 5, 31),
        "referral.code": "K7QM2XNPB",
        "links.unsubscribe": "https://shop.example/m/sample",
        "links.preferences": "https://shop.example/m/sample",
    }
)
"""Every variable that templates have, by its path."""
DATES = frozenset(name for name, sample in FIELDS.items() if isinstance(sample, date))
NOT_DECLARED = frozenset(["links", "coupon", "referral"])
"""What is made for each message: nothing can stand in its place."""


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of whom a message is for: values by the paths of `FIELDS`.

    What is not known is left out, None or empty. Never shown in a repr.
    """

    values: Mapping[str, Value | None] = field(repr=False)
    language: str | None = None


def known(person: Person, defaults: Mapping[str, str]) -> dict[str, Value]:
    """The values that are there, declared defaults in the place of those that are not."""
    found: dict[str, Value] = {}
    for path in FIELDS:
        own = person.values.get(path)
        value = None if own is None else _value(path, own)
        if value is None and path in defaults:
            value = _value(path, defaults[path])
        if value is not None:
            found[path] = value
    return found


def tree(values: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """Values by object and field, as templates ask for them."""
    found: dict[str, dict[str, Value]] = {}
    for path, value in values.items():
        thing, _, name = path.partition(".")
        found.setdefault(thing, {})[name] = value
    return found


def _value(path: str, value: Value | None) -> Value | None:
    if not isinstance(value, str):
        return value
    text = in_one_line(value)
    if blank(text):
        return None
    return _date(text) if path in DATES else text


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
