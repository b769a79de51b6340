"""The `directory`: what a person at the till looks a customer up in."""

from datetime import datetime
from typing import Any

import msgspec

from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    IdentifierAdded,
    IdentifierKind,
    IdentifierRemoved,
)
from shared.identifiers import claim_id
from shared.projection import Document, Event, Projection


class Contact(msgspec.Struct, gc=False):
    """A way to reach or find the customer; `value` is absent once it was erased."""

    kind: IdentifierKind
    hash: str
    value: str | None = None


class DirectoryEntry(Document, kw_only=True):
    """One customer of the list.

    `found_by` holds `<kind>|<hash>` of each identifier, for exact look-ups; `sort_name` is
    `<name in lower case>|<id>`, unique, so that a page can go on from it.
    """

    registered_at: datetime
    contacts: list[Contact] = msgspec.field(default_factory=list)
    found_by: list[str] = msgspec.field(default_factory=list)
    consents: list[str] = msgspec.field(default_factory=list)
    sort_name: str = ""
    surname: str | None = None
    name: str | None = None
    patronymic: str | None = None
    birth_date: str | None = None
    gender: str | None = None
    home_branch: str | None = None
    language: str | None = None
    time_zone: str | None = None
    acquisition: str | None = None
    internal: bool = False
    custom: dict[str, Any] = msgspec.field(default_factory=dict)


class Registered(msgspec.Struct):
    """What the directory reads of `customer.registered`."""

    identifiers: list[Contact] = msgspec.field(default_factory=list)
    surname: str | None = None
    name: str | None = None
    patronymic: str | None = None
    birth_date: str | None = None
    gender: str | None = None
    home_branch: str | None = None
    language: str | None = None
    time_zone: str | None = None
    acquisition: str | None = None
    internal: bool | None = None
    custom: dict[str, Any] | None = None


class Added(msgspec.Struct):
    """What the directory reads of `customer.identifier_added`."""

    identifier: Contact


class Removed(msgspec.Struct):
    """What the directory reads of `customer.identifier_removed`."""

    kind: str
    hash: str


class Consent(msgspec.Struct):
    """What the directory reads of a consent or its withdrawal."""

    topic: str
    channel: str


def _target(event: Event) -> str | None:
    return event.light.subject


def apply(entry: DirectoryEntry | None, event: Event) -> DirectoryEntry:
    """The entry after an event."""
    data = event.data
    if isinstance(data, Registered):
        return _registered(event, data)
    if entry is None:
        message = "the first event of a customer is its registration"
        raise ValueError(message)
    match data:
        case Added(identifier=contact):
            _find_by(entry, [*entry.contacts, contact])
        case Removed(kind=kind, hash=value_hash):
            _find_by(
                entry,
                [each for each in entry.contacts if (each.kind, each.hash) != (kind, value_hash)],
            )
        case Consent(topic=topic, channel=channel):
            key = f"{topic}|{channel}"
            kept = [consent for consent in entry.consents if consent != key]
            given = event.type == ConsentGiven.type
            entry.consents = sorted([*kept, key]) if given else kept
    return entry


def _registered(event: Event, data: Registered) -> DirectoryEntry:
    customer = event.light.subject or ""
    names = " ".join(part for part in (data.surname, data.name, data.patronymic) if part)
    entry = DirectoryEntry(
        id=customer,
        registered_at=event.time,
        sort_name=f"{names.casefold()}|{customer}",
        surname=data.surname,
        name=data.name,
        patronymic=data.patronymic,
        birth_date=data.birth_date,
        gender=data.gender,
        home_branch=data.home_branch,
        language=data.language,
        time_zone=data.time_zone,
        acquisition=data.acquisition,
        internal=bool(data.internal),
        custom=data.custom or {},
    )
    _find_by(entry, data.identifiers)
    return entry


def _find_by(entry: DirectoryEntry, contacts: list[Contact]) -> None:
    entry.contacts = contacts
    entry.found_by = [claim_id(each.kind, each.hash) for each in contacts]


DIRECTORY: Projection[DirectoryEntry] = Projection(
    name="directory_v1",
    topics=("customer.events.v1",),
    reads={
        CustomerRegistered.type: Registered,
        IdentifierAdded.type: Added,
        IdentifierRemoved.type: Removed,
        ConsentGiven.type: Consent,
        ConsentWithdrawn.type: Consent,
    },
    document=DirectoryEntry,
    target=_target,
    apply=apply,
    opens=True,
    gapless=True,
    indexes=((("found_by", 1),), (("sort_name", 1),), (("home_branch", 1), ("sort_name", 1))),
)
