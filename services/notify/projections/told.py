"""What `recipients` reads of events: structs of just the fields that it needs."""

from datetime import datetime
from typing import Any

import msgspec

from shared.events.customer import IdentifierKind, IdentifierState


class Contact(msgspec.Struct, gc=False, omit_defaults=True):
    """A contact point; `value` is absent once it was erased."""

    kind: IdentifierKind
    hash: str
    value: str | None = None
    state: IdentifierState | None = None
    preferred: bool | None = None
    shared: bool | None = None


class Fields(msgspec.Struct, kw_only=True):
    """What is read of the fields of a record."""

    surname: str | None = None
    name: str | None = None
    patronymic: str | None = None
    birth_date: str | None = None
    city: str | None = None
    home_branch: str | None = None
    language: str | None = None
    time_zone: str | None = None
    preferred_channel: str | None = None
    internal: bool | None = None
    custom: dict[str, Any] | None = None


class Registered(Fields, kw_only=True):
    """Of `customer.registered`."""

    identifiers: list[Contact] = msgspec.field(default_factory=list)


class Changed(Fields, kw_only=True):
    """Of `customer.changed`."""

    cleared: list[str] | None = None


class Added(msgspec.Struct):
    """Of `customer.identifier_added`."""

    identifier: Contact


class Noted(msgspec.Struct):
    """Of `customer.identifier_changed`."""

    kind: str
    hash: str
    state: IdentifierState | None = None
    preferred: bool | None = None


class Removed(msgspec.Struct):
    """Of `customer.identifier_removed`, and of what a revert releases."""

    kind: str
    hash: str


class Evidence(msgspec.Struct):
    """When the person said so, where that is not when it was recorded."""

    at: datetime | None = None


class Given(msgspec.Struct):
    """Of `customer.consent_given`."""

    topic: str
    channel: str
    contact: str | None = None
    evidence: Evidence = msgspec.field(default_factory=Evidence)


class Withdrawn(msgspec.Struct):
    """Of `customer.consent_withdrawn`."""

    topic: str
    channel: str
    contact: str | None = None


class ConsentState(msgspec.Struct):
    """Of a consent that a merge or its revert changes."""

    topic: str
    channel: str
    contact: str | None = None
    given: bool | None = None
    evidence: Evidence | None = None


class Blacklisted(msgspec.Struct):
    """Of `customer.blacklisted`."""


class BlacklistEnded(msgspec.Struct):
    """Of `customer.blacklisting_ended`."""


class Merged(msgspec.Struct):
    """Of `customer.merged`."""

    survivor: str


class Absorbed(msgspec.Struct):
    """Of `customer.absorbed`."""

    other: str = ""
    identifiers: list[Contact] = msgspec.field(default_factory=list)
    consents: list[ConsentState] = msgspec.field(default_factory=list)
    fields: Fields = msgspec.field(default_factory=Fields)
    blacklist: Blacklisted | None = None


class Reverted(msgspec.Struct):
    """Of `customer.merge_reverted`."""

    role: str
    other: str = ""
    released: list[Removed] = msgspec.field(default_factory=list)
    identifiers: list[Contact] = msgspec.field(default_factory=list)
    consents: list[ConsentState] = msgspec.field(default_factory=list)
    cleared: list[str] = msgspec.field(default_factory=list)


class Erased(msgspec.Struct):
    """Of `customer.erased`."""


class Entered(msgspec.Struct):
    """Of `segment.entered`."""

    segment: str


class Exited(msgspec.Struct):
    """Of `segment.exited`."""

    segment: str


class Listed(msgspec.Struct):
    """Of `list.entered`."""

    list: str


class Unlisted(msgspec.Struct):
    """Of `list.left`."""

    list: str
