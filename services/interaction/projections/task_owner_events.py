"""What the owners of tasks read of events, of tasks and of customers."""

from datetime import datetime
from typing import Any

import msgspec


class Merge(msgspec.Struct, frozen=True, gc=False):
    """A merge that brought a task, and whom it had concerned."""

    merge: str
    customer: str


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What is read of a task's terms."""

    since: datetime


class Origin(msgspec.Struct, frozen=True, gc=False):
    """What is read of a task's origin."""

    kind: str
    name: str | None = None


class Planned(msgspec.Struct, frozen=True):
    """Of `task.planned`."""

    task: str
    terms: Terms
    origin: Origin


class Continued(msgspec.Struct, frozen=True):
    """Of `task.continued`."""

    task: str
    merges: list[Merge]
    status: str
    terms: Terms
    origin: Origin


class Ended(msgspec.Struct, frozen=True, gc=False):
    """Of `task.completed` and `task.cancelled`."""

    task: str


class Reopened(msgspec.Struct, frozen=True, gc=False):
    """Of `task.reopened`."""

    task: str


class Transferred(msgspec.Struct, frozen=True, gc=False):
    """Of `task.transferred`."""

    task: str
    stream: str


class Contact(msgspec.Struct, frozen=True, gc=False):
    """What is read of an identifier."""

    kind: str


class Record(msgspec.Struct, frozen=True):
    """The fields of a record that may have update rules, and where the customer belongs."""

    surname: str | None = None
    name: str | None = None
    birth_date: str | None = None
    address: str | None = None
    city: str | None = None
    workplace: str | None = None
    home_branch: str | None = None
    custom: dict[str, Any] | None = None


class Written(Record, frozen=True):
    """Of `customer.registered` and `customer.changed`."""

    identifiers: list[Contact] = msgspec.field(default_factory=list)
    cleared: list[str] | None = None


class Added(msgspec.Struct, frozen=True):
    """Of `customer.identifier_added`."""

    identifier: Contact


class Verified(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.identifier_changed`."""

    kind: str
    state: str | None = None


class Right(msgspec.Struct, frozen=True):
    """Of `customer.fields_confirmed`."""

    fields: list[str]


class Assigned(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.responsible_assigned`."""

    employee: str | None = None


class Merged(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.merged`."""

    merge: str
    survivor: str


class Absorbed(msgspec.Struct, frozen=True):
    """Of `customer.absorbed`."""

    responsible: str | None = None
    fields: Record = Record()


class Reverted(msgspec.Struct, frozen=True):
    """Of `customer.merge_reverted`."""

    merge: str
    role: str
    cleared: list[str] = msgspec.field(default_factory=list)


class Erased(msgspec.Struct, frozen=True, gc=False):
    """Of `customer.erased`."""

    erase: str
