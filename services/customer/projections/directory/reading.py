"""What the list reads of events: light structs of just the fields that it shows or asks for."""

from datetime import datetime
from typing import Any

import msgspec

from shared.envelope import Zoned
from shared.events.customer import IdentifierKind


class Contact(msgspec.Struct, gc=False, omit_defaults=True):
    """A way to reach or find the customer; `value` is absent once it was erased."""

    kind: IdentifierKind
    hash: str
    value: str | None = None
    state: str | None = None
    preferred: bool | None = None
    shared: bool | None = None


class RecordPart(msgspec.Struct):
    """The fields of a record; None: not told."""

    surname: str | None = None
    name: str | None = None
    patronymic: str | None = None
    birth_date: str | None = None
    gender: str | None = None
    address: str | None = None
    city: str | None = None
    region: str | None = None
    workplace: str | None = None
    home_branch: str | None = None
    language: str | None = None
    time_zone: str | None = None
    acquisition: str | None = None
    customer_type: str | None = None
    preferred_channel: str | None = None
    internal: bool | None = None
    custom: dict[str, Any] | None = None


class Registered(RecordPart):
    """What is read of `customer.registered`."""

    identifiers: list[Contact] = msgspec.field(default_factory=list)


class Changed(RecordPart):
    """What is read of `customer.changed`."""

    cleared: list[str] | None = None


class Added(msgspec.Struct):
    """What is read of `customer.identifier_added`."""

    identifier: Contact


class PointChanged(msgspec.Struct):
    """What is read of `customer.identifier_changed`."""

    kind: str
    hash: str
    state: str | None = None
    preferred: bool | None = None


class Removed(msgspec.Struct):
    """What is read of `customer.identifier_removed`, and of what a revert releases."""

    kind: str
    hash: str


class Consent(msgspec.Struct):
    """What is read of a consent or its withdrawal."""

    topic: str
    channel: str
    contact: str | None = None


class ConsentState(Consent):
    """What counts after a merge or its revert; `given` None: neither."""

    given: bool | None = None


class Grant(msgspec.Struct, gc=False):
    """A category and who gave it."""

    category: str
    by: str


class Categories(msgspec.Struct):
    """What is read of `customer.categories_changed`."""

    given: list[Grant] = msgspec.field(default_factory=list)
    withdrawn: list[Grant] = msgspec.field(default_factory=list)


class Tags(msgspec.Struct):
    """What is read of `customer.tags_changed`."""

    added: list[str] = msgspec.field(default_factory=list)
    removed: list[str] = msgspec.field(default_factory=list)


class Discount(msgspec.Struct):
    """What is read of `customer.discount_changed`, and of discounts that are absorbed."""

    by: str
    discount: int | None = None


class Status(msgspec.Struct):
    """What is read of `customer.status_changed`."""

    status: str


class Responsible(msgspec.Struct):
    """What is read of `customer.responsible_assigned`."""

    employee: str | None = None


class Blacklisting(msgspec.Struct):
    """What is read of `customer.blacklisted`, of its end, and of one that is absorbed."""

    until: datetime | None = None


class Shelved(msgspec.Struct):
    """What is read of `customer.archived` and `customer.restored`."""


class Merged(msgspec.Struct):
    """What is read of `customer.merged`."""

    survivor: str


class Absorbed(msgspec.Struct):
    """What is read of `customer.absorbed`."""

    other: str
    identifiers: list[Contact] = msgspec.field(default_factory=list)
    consents: list[ConsentState] = msgspec.field(default_factory=list)
    fields: RecordPart = msgspec.field(default_factory=RecordPart)
    tags: list[str] = msgspec.field(default_factory=list)
    categories: list[Grant] = msgspec.field(default_factory=list)
    discounts: list[Discount] = msgspec.field(default_factory=list)
    status: str | None = None
    responsible: str | None = None
    blacklist: Blacklisting | None = None


class Reverted(msgspec.Struct):
    """What is read of `customer.merge_reverted`."""

    other: str
    role: str
    released: list[Removed] = msgspec.field(default_factory=list)
    identifiers: list[Contact] = msgspec.field(default_factory=list)
    consents: list[ConsentState] = msgspec.field(default_factory=list)
    cleared: list[str] = msgspec.field(default_factory=list)
    tags_removed: list[str] = msgspec.field(default_factory=list)
    categories_withdrawn: list[Grant] = msgspec.field(default_factory=list)
    discounts_withdrawn: list[str] = msgspec.field(default_factory=list)


class Erased(msgspec.Struct):
    """What is read of `customer.erased`: that it happened."""


class Membership(msgspec.Struct):
    """What is read of `segment.entered` and `segment.exited`."""

    segment: str


class Return(msgspec.Struct, gc=False):
    """What is read of `interaction.receipt_returned`; `total` in minor units."""

    total: int


class Void(msgspec.Struct, gc=False):
    """What is read of `interaction.receipt_voided`: what had not been returned."""

    bought: Zoned
    bought_at: str
    total: int


class Receipt(msgspec.Struct, gc=False):
    """What is read of `interaction.receipt_recorded`; `total` in minor units."""

    total: int
