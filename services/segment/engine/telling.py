"""What is read of events that tell of the customer as a person: structs of just those fields.

An erased value is absent, and so is not told.
"""

from collections.abc import Mapping

import msgspec

from services.segment.rules.words import FieldValue
from shared.events.care import (
    BlacklistingEnded,
    CategoriesChanged,
    CustomerArchived,
    CustomerBlacklisted,
    CustomerRestored,
    CustomersLinked,
    CustomersUnlinked,
    DiscountChanged,
    ResponsibleAssigned,
    StatusChanged,
    TagsChanged,
)
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    CustomerRegistered,
    IdentifierAdded,
    IdentifierChanged,
    IdentifierRemoved,
)
from shared.events.interaction import MisuseLifted, MisuseSuspected
from shared.events.lists import ListEntered, ListLeft
from shared.events.merging import CustomerAbsorbed, MergeReverted


class Fields(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is read of the fields of a record."""

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
    custom: dict[str, FieldValue] | None = None


class Identifier(msgspec.Struct, frozen=True, gc=False):
    """What is read of an identifier."""

    kind: str
    hash: str
    state: str | None = None


class Registered(Fields, frozen=True, gc=False, kw_only=True):
    """Of `customer.registered`."""

    identifiers: tuple[Identifier, ...] = ()


class Changed(Fields, frozen=True, gc=False, kw_only=True):
    """Of `customer.changed`."""

    cleared: tuple[str, ...] | None = None


class Added(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.identifier_added`."""

    identifier: Identifier


class PointChanged(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.identifier_changed`."""

    kind: str
    hash: str
    state: str | None = None


class Removed(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.identifier_removed`, and of what a revert releases."""

    kind: str
    hash: str


class ConsentWord(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.consent_given` and `customer.consent_withdrawn`."""

    topic: str
    channel: str
    contact: str | None = None


class ConsentState(msgspec.Struct, frozen=True, gc=False):
    """Of a consent that a merge or its revert changes."""

    topic: str
    channel: str
    given: bool | None = None
    contact: str | None = None


class Grant(msgspec.Struct, frozen=True, gc=False):
    """A category and who gave it."""

    category: str
    by: str


class Categories(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.categories_changed`."""

    given: tuple[Grant, ...] = ()
    withdrawn: tuple[Grant, ...] = ()


class Tags(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.tags_changed`."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Discount(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.discount_changed`, and of discounts that are absorbed."""

    by: str
    discount: int | None = None


class Status(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.status_changed`."""

    status: str


class Responsible(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.responsible_assigned`."""

    employee: str | None = None


class Link(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.linked` and `customer.unlinked`."""

    other: str
    relation: str


class Shelved(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.archived` and `customer.restored`."""


class Blacklisted(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.blacklisted` and its end, and of one that is absorbed."""


class Suspected(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.misuse_suspected`."""

    day: str


class Lifted(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.misuse_lifted`."""

    days: tuple[str, ...]


class Absorbed(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Of `customer.absorbed`."""

    fields: Fields = Fields()
    identifiers: tuple[Identifier, ...] = ()
    consents: tuple[ConsentState, ...] = ()
    tags: tuple[str, ...] = ()
    categories: tuple[Grant, ...] = ()
    discounts: tuple[Discount, ...] = ()
    status: str | None = None
    responsible: str | None = None
    blacklist: Blacklisted | None = None


class Reverted(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Of `customer.merge_reverted`."""

    role: str
    released: tuple[Removed, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    consents: tuple[ConsentState, ...] = ()
    cleared: tuple[str, ...] = ()
    tags_removed: tuple[str, ...] = ()
    categories_withdrawn: tuple[Grant, ...] = ()
    discounts_withdrawn: tuple[str, ...] = ()

    @property
    def comes_back(self) -> bool:
        """Whether the customer lives by itself again."""
        return self.role == "loser"


class ListCause(msgspec.Struct, frozen=True, gc=False):
    """Why somebody is on a list, or no longer."""

    kind: str


class Listed(msgspec.Struct, frozen=True, gc=False):
    """Of `list.entered` and `list.left`."""

    list: str
    cause: ListCause

    @property
    def by_merge(self) -> bool:
        """Whether two customers became one, or parted."""
        return self.cause.kind == "merge"


READS: Mapping[str, type[msgspec.Struct]] = {
    CustomerRegistered.type: Registered,
    CustomerChanged.type: Changed,
    IdentifierAdded.type: Added,
    IdentifierChanged.type: PointChanged,
    IdentifierRemoved.type: Removed,
    ConsentGiven.type: ConsentWord,
    ConsentWithdrawn.type: ConsentWord,
    CategoriesChanged.type: Categories,
    TagsChanged.type: Tags,
    DiscountChanged.type: Discount,
    StatusChanged.type: Status,
    ResponsibleAssigned.type: Responsible,
    CustomersLinked.type: Link,
    CustomersUnlinked.type: Link,
    CustomerBlacklisted.type: Blacklisted,
    BlacklistingEnded.type: Blacklisted,
    CustomerArchived.type: Shelved,
    CustomerRestored.type: Shelved,
    CustomerAbsorbed.type: Absorbed,
    MergeReverted.type: Reverted,
    MisuseSuspected.type: Suspected,
    MisuseLifted.type: Lifted,
    ListEntered.type: Listed,
    ListLeft.type: Listed,
}
"""The types that tell of a person → what is read of their data."""
