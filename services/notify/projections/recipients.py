"""`recipients`: what must be known of a customer to send something, in the clear.

Events of the customer and of the memberships come by two topics in no order between them, so a
document may begin with either. It reads both streams whole: a gap would be a withdrawal that
nobody saw, and parks the customer.
"""

from datetime import datetime

import msgspec

from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    IdentifierAdded,
    IdentifierKind,
    IdentifierRemoved,
)
from shared.events.segment import SegmentEntered, SegmentExited
from shared.projection import Document, Event, Projection

REACHING: frozenset[str] = frozenset({"email", "phone"})
"""Kinds of identifier that a channel can use."""


class Contact(msgspec.Struct, gc=False, omit_defaults=True):
    """A contact point; `value` is absent once it was erased."""

    kind: IdentifierKind
    hash: str
    value: str | None = None


class Membership(msgspec.Struct, gc=False):
    """A segment that the customer is in since a moment; `version` is that of the entering."""

    segment: str
    since: datetime
    version: int


class Recipient(Document, kw_only=True, omit_defaults=True):
    """One customer.

    `consents` maps `<topic>|<channel>` to the hash of the contact point that the consent is bound
    to, or to None where it is bound to none.
    """

    registered: bool = False
    internal: bool = False
    contacts: list[Contact] = msgspec.field(default_factory=list)
    consents: dict[str, str | None] = msgspec.field(default_factory=dict)
    memberships: list[Membership] = msgspec.field(default_factory=list)
    surname: str | None = None
    name: str | None = None
    patronymic: str | None = None
    language: str | None = None


class Registered(msgspec.Struct):
    """Of `customer.registered`."""

    identifiers: list[Contact] = msgspec.field(default_factory=list)
    surname: str | None = None
    name: str | None = None
    patronymic: str | None = None
    language: str | None = None
    internal: bool | None = None


class Added(msgspec.Struct):
    """Of `customer.identifier_added`."""

    identifier: Contact


class Removed(msgspec.Struct):
    """Of `customer.identifier_removed`."""

    kind: str
    hash: str


class Given(msgspec.Struct):
    """Of `customer.consent_given`."""

    topic: str
    channel: str
    contact: str | None = None


class Withdrawn(msgspec.Struct):
    """Of `customer.consent_withdrawn`."""

    topic: str
    channel: str


class Entered(msgspec.Struct):
    """Of `segment.entered`."""

    segment: str


class Exited(msgspec.Struct):
    """Of `segment.exited`."""

    segment: str


def consent_key(topic: str, channel: str) -> str:
    """The key of a consent."""
    return f"{topic}|{channel}"


def _target(event: Event) -> str | None:
    return event.light.subject


def apply(recipient: Recipient | None, event: Event) -> Recipient:
    """The recipient after an event."""
    if recipient is None:
        recipient = Recipient(id=event.light.subject or "")
    match event.data:
        case Registered() as person:
            _register(recipient, person)
        case Added(identifier=contact):
            recipient.contacts = _reaching([*recipient.contacts, contact])
        case Removed(kind=kind, hash=gone):
            recipient.contacts = [
                each for each in recipient.contacts if (each.kind, each.hash) != (kind, gone)
            ]
        case Given(topic=topic, channel=channel, contact=bound):
            recipient.consents[consent_key(topic, channel)] = bound
        case Withdrawn(topic=topic, channel=channel):
            recipient.consents.pop(consent_key(topic, channel), None)
        case Entered(segment=segment):
            entered = Membership(segment, event.time, event.light.streamversion)
            recipient.memberships = [*_without(recipient, segment), entered]
        case Exited(segment=segment):
            recipient.memberships = _without(recipient, segment)
    return recipient


def _register(recipient: Recipient, person: Registered) -> None:
    recipient.registered = True
    recipient.internal = bool(person.internal)
    recipient.contacts = _reaching(person.identifiers)
    recipient.surname = person.surname
    recipient.name = person.name
    recipient.patronymic = person.patronymic
    recipient.language = person.language


def _reaching(contacts: list[Contact]) -> list[Contact]:
    return [each for each in contacts if each.kind in REACHING]


def _without(recipient: Recipient, segment: str) -> list[Membership]:
    return [each for each in recipient.memberships if each.segment != segment]


RECIPIENTS: Projection[Recipient] = Projection(
    name="recipients_v1",
    topics=("customer.events.v1", "segment.events.v1"),
    reads={
        CustomerRegistered.type: Registered,
        IdentifierAdded.type: Added,
        IdentifierRemoved.type: Removed,
        ConsentGiven.type: Given,
        ConsentWithdrawn.type: Withdrawn,
        SegmentEntered.type: Entered,
        SegmentExited.type: Exited,
    },
    document=Recipient,
    target=_target,
    apply=apply,
    opens=True,
    gapless=True,
    blank=lambda customer: Recipient(id=customer),
    indexes=((("memberships.segment", 1), ("_id", 1)),),
)
