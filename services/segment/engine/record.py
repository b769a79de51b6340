"""What events say of the customer as a person, in words.

Each event says what changed and needs nothing of what was known before, so words are the same
whatever was folded already.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from services.segment.engine.telling import (
    Absorbed,
    Added,
    Blacklisted,
    Categories,
    Changed,
    ConsentState,
    ConsentWord,
    Discount,
    Fields,
    Grant,
    Identifier,
    Lifted,
    Link,
    Listed,
    PointChanged,
    Registered,
    Removed,
    Responsible,
    Reverted,
    Shelved,
    Status,
    Suspected,
    Tags,
)
from services.segment.rules.instants import instant
from services.segment.rules.language.fields import (
    CATEGORIES,
    CUSTOM,
    DISCOUNT,
    FIELDS,
    LINKED,
    MISUSE,
    REGISTERED,
    TAGS,
)
from services.segment.rules.words import (
    Attribute,
    Consent,
    Contact,
    ContactsAnew,
    FieldValue,
    Item,
    Revoked,
    Word,
)
from services.segment.rules.words import Listed as ListedWord
from shared.envelope import Light
from shared.events.care import CustomerArchived, CustomerBlacklisted, CustomersLinked
from shared.events.customer import ConsentGiven
from shared.events.lists import ListEntered

_CLEARED = {"blacklist": "blacklisted"}
"""What a revert calls a field by another name."""


def words_of(light: Light, data: object) -> list[Word] | None:
    """What an event says; None where it is none of these."""
    say = _SAYINGS.get(type(data))
    return None if say is None else list(say(data, light))


def _registered(data: Registered, light: Light) -> Iterator[Word]:
    since = min(instant(light.time), instant(light.recordedtime))
    yield Attribute(REGISTERED, since, light.streamversion)
    yield from _attributes(data, light)
    yield from _contacts(data.identifiers, light)


def _changed(data: Changed, light: Light) -> Iterator[Word]:
    yield from _attributes(data, light)
    yield from _cleared(data.cleared or (), light)


def _point_changed(data: PointChanged, light: Light) -> Iterator[Word]:
    if data.state is not None:
        at = light.streamversion
        yield Contact(data.kind, data.hash, there=False, there_version=0,
                      state=data.state, state_version=at)  # fmt: skip


def _consent(data: ConsentWord, light: Light) -> Iterator[Word]:
    given, at = light.type == ConsentGiven.type, light.streamversion
    yield Consent(data.topic, data.channel, given, at, data.contact or "")
    if not given and data.contact is None:
        yield Revoked(data.topic, data.channel, at)


def _misuse(data: Suspected | Lifted, light: Light) -> Iterator[Word]:
    if isinstance(data, Suspected):
        yield Item(MISUSE, data.day, data.day, light.streamversion)
    else:
        yield from _gone(MISUSE, data.days, light)


def _absorbed(data: Absorbed, light: Light) -> Iterator[Word]:
    yield from _attributes(data.fields, light)
    yield from _contacts(data.identifiers, light)
    yield from _consents(data.consents, light)
    yield from _there(TAGS, data.tags, light)
    yield from _granted(data.categories, light)
    for each in data.discounts:
        yield from _discount(each, light)
    said = {
        "status": data.status,
        "responsible": data.responsible,
        "blacklisted": None if data.blacklist is None else True,
    }
    yield from _fields(said, light)


def _reverted(data: Reverted, light: Light) -> Iterator[Word]:
    if data.comes_back:
        yield ContactsAnew(light.streamversion)
    yield from _removed(data.released, light)
    yield from _contacts(data.identifiers, light)
    yield from _consents(data.consents, light)
    yield from _cleared(data.cleared, light)
    yield from _gone(TAGS, data.tags_removed, light)
    yield from _gone(CATEGORIES, map(_grant_of, data.categories_withdrawn), light)
    yield from _gone(DISCOUNT, data.discounts_withdrawn, light)


def _categories(data: Categories, light: Light) -> Iterator[Word]:
    yield from _granted(data.given, light)
    yield from _gone(CATEGORIES, map(_grant_of, data.withdrawn), light)


def _tags(data: Tags, light: Light) -> Iterator[Word]:
    yield from _there(TAGS, data.added, light)
    yield from _gone(TAGS, data.removed, light)


def _discount(data: Discount, light: Light) -> Iterator[Word]:
    yield Item(DISCOUNT, data.by, data.discount, light.streamversion)


def _link(data: Link, light: Light) -> Iterator[Word]:
    relation = data.relation if light.type == CustomersLinked.type else None
    yield Item(LINKED, f"{data.relation}|{data.other}", relation, light.streamversion)


def _listed(data: Listed, light: Light) -> Iterator[Word]:
    yield ListedWord(data.list, light.type == ListEntered.type, light.streamversion)


def _flag(field: str, type_of_yes: str) -> Callable[[object, Light], Iterator[Word]]:
    def say(_data: object, light: Light) -> Iterator[Word]:
        yield Attribute(field, light.type == type_of_yes, light.streamversion)

    return say


_SAYINGS: Mapping[type, Callable[[Any, Light], Iterable[Word]]] = {
    Registered: _registered,
    Changed: _changed,
    Added: lambda data, light: _contacts((data.identifier,), light),
    PointChanged: _point_changed,
    Removed: lambda data, light: _removed((data,), light),
    ConsentWord: _consent,
    Categories: _categories,
    Tags: _tags,
    Discount: _discount,
    Status: lambda data, light: [Attribute("status", data.status, light.streamversion)],
    Responsible: lambda data, light: [Attribute("responsible", data.employee, light.streamversion)],
    Link: _link,
    Listed: _listed,
    Blacklisted: _flag("blacklisted", CustomerBlacklisted.type),
    Shelved: _flag("archived", CustomerArchived.type),
    Suspected: _misuse,
    Lifted: _misuse,
    Absorbed: _absorbed,
    Reverted: _reverted,
}


def _attributes(data: Fields, light: Light) -> Iterator[Word]:
    said = {name: getattr(data, name) for name in _OWN_FIELDS}
    said |= {f"{CUSTOM}{name}": value for name, value in (data.custom or {}).items()}
    return _fields(said, light)


_OWN_FIELDS = tuple(name for name in Fields.__struct_fields__ if name != "custom")


def _fields(said: Mapping[str, FieldValue | None], light: Light) -> Iterator[Word]:
    for field, value in said.items():
        if value is not None:
            yield Attribute(field, value, light.streamversion)


def _cleared(names: Iterable[str], light: Light) -> Iterator[Word]:
    for name in names:
        field = _CLEARED.get(name, name)
        if field in FIELDS or field.startswith(CUSTOM):
            yield Attribute(field, None, light.streamversion)


def _contacts(identifiers: Iterable[Identifier], light: Light) -> Iterator[Word]:
    at = light.streamversion
    for each in identifiers:
        state = each.state or "unverified"
        yield Contact(each.kind, each.hash, there=True, there_version=at,
                      state=state, state_version=at)  # fmt: skip


def _removed(identifiers: Iterable[Removed], light: Light) -> Iterator[Word]:
    for each in identifiers:
        yield Contact(each.kind, each.hash, there=False, there_version=light.streamversion)


def _consents(states: Iterable[ConsentState], light: Light) -> Iterator[Word]:
    for each in states:
        contact = each.contact or ""
        yield Consent(each.topic, each.channel, each.given, light.streamversion, contact)


def _granted(grants: Iterable[Grant], light: Light) -> Iterator[Word]:
    for each in grants:
        yield Item(CATEGORIES, _grant_of(each), each.category, light.streamversion)


def _grant_of(grant: Grant) -> str:
    return f"{grant.category}|{grant.by}"


def _there(field: str, items: Iterable[str], light: Light) -> Iterator[Word]:
    for item in items:
        yield Item(field, item, item, light.streamversion)


def _gone(field: str, items: Iterable[str], light: Light) -> Iterator[Word]:
    for item in items:
        yield Item(field, item, None, light.streamversion)
