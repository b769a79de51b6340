"""`recipients`: what must be known of a customer to send something, in the clear.

Events of the customer, of memberships and of lists come by three topics in no order between them,
so a document may begin with any. It reads the streams whole: a gap would be a withdrawal that
nobody saw, and parks the customer.
"""

from datetime import UTC, datetime

import msgspec

from services.notify.projections.anniversaries import dates_after, day_keys
from services.notify.projections.told import (
    Absorbed,
    Added,
    Blacklisted,
    BlacklistEnded,
    Changed,
    ConsentState,
    Contact,
    Entered,
    Erased,
    Exited,
    Fields,
    Given,
    Listed,
    Merged,
    Noted,
    Registered,
    Removed,
    Reverted,
    Unlisted,
    Withdrawn,
)
from shared.events.care import BlacklistingEnded, CustomerBlacklisted
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    CustomerRegistered,
    IdentifierAdded,
    IdentifierChanged,
    IdentifierRemoved,
)
from shared.events.lists import ListEntered, ListLeft
from shared.events.merging import (
    CustomerAbsorbed,
    CustomerErased,
    CustomerMerged,
    MergeReverted,
)
from shared.events.segment import SegmentEntered, SegmentExited
from shared.projection import Document, Event, Projection

REACHING: frozenset[str] = frozenset({"email", "phone", "push", "messenger", "external"})
"""Kinds of identifier that a channel can use."""

PERSONAL = (
    *("surname", "name", "patronymic", "birth_date", "city"),
    *("home_branch", "language", "time_zone", "preferred_channel"),
)
"""Fields of the record that messages need."""


class Membership(msgspec.Struct, gc=False):
    """A segment that the customer is in since a moment; `version` is that of the entering."""

    segment: str
    since: datetime
    version: int


class Absorption(msgspec.Struct, gc=False):
    """Another customer is this one; `at` is a moment by which that was recorded (system time)."""

    other: str
    at: datetime


class Recipient(Document, kw_only=True, omit_defaults=True):
    """One customer; `removed` once erased.

    `consents` maps `<topic>|<channel>|<hash of the contact point, or nothing>` to whether it was
    given; what is not there was not. `agreed` says of the same keys when the person last agreed.
    `withdrawals` maps `<topic>|<channel>` to when something that was given was last withdrawn.
    `merged` names the survivor while there is one, `absorbed` who were merged into this one itself.
    `days` are the days of the year that mean something, by `day_key`; `lists` the static lists that
    the customer is on.
    """

    registered: bool = False
    internal: bool = False
    merged: str | None = None
    absorbed: list[Absorption] = msgspec.field(default_factory=list)
    blacklisted: bool = False
    contacts: list[Contact] = msgspec.field(default_factory=list)
    consents: dict[str, bool] = msgspec.field(default_factory=dict)
    withdrawals: dict[str, datetime] = msgspec.field(default_factory=dict)
    agreed: dict[str, datetime] = msgspec.field(default_factory=dict)
    preferred_channel: str | None = None
    memberships: list[Membership] = msgspec.field(default_factory=list)
    lists: list[str] = msgspec.field(default_factory=list)
    surname: str | None = None
    name: str | None = None
    patronymic: str | None = None
    birth_date: str | None = None
    city: str | None = None
    home_branch: str | None = None
    language: str | None = None
    time_zone: str | None = None
    registered_at: datetime | None = None
    custom_dates: dict[str, str] = msgspec.field(default_factory=dict)
    days: list[str] = msgspec.field(default_factory=list)

    def wants(self, topic: str, channel: str) -> bool:
        """Whether anything was agreed to for the topic and channel."""
        about = consent_key(topic, channel, "")
        return any(given for key, given in self.consents.items() if key.startswith(about))

    def withdrawn_since(self, topic: str, channel: str, moment: datetime) -> bool:
        """Whether something that was agreed to was withdrawn at the moment or after it."""
        withdrawn = self.withdrawals.get(f"{topic}|{channel}")
        return withdrawn is not None and withdrawn >= moment

    def may_reach(self, contact: Contact, topic: str, channel: str) -> bool:
        """Whether it was agreed to for this contact point: its own word counts before any."""
        for_any = self.consents.get(consent_key(topic, channel, ""), False)
        return self.consents.get(consent_key(topic, channel, contact.hash), for_any)


def consent_key(topic: str, channel: str, contact: str) -> str:
    """The key of a consent; `contact` is a hash, or empty for any contact point."""
    return f"{topic}|{channel}|{contact}"


def _target(event: Event) -> str | None:
    return event.light.subject


def apply(recipient: Recipient | None, event: Event) -> Recipient:
    """The recipient after an event; who was erased stays so."""
    if recipient is None:
        recipient = Recipient(id=event.light.subject or "")
    if recipient.removed:
        return recipient
    match event.data:
        case Entered() | Exited() | Listed() | Unlisted():
            _belong(recipient, event)
        case Merged(survivor=survivor):
            recipient.merged = survivor
        case Absorbed() as absorbed:
            taken = datetime.fromtimestamp(event.timestamp / 1000, UTC)
            recipient.absorbed = [*recipient.absorbed, Absorption(absorbed.other, taken)]
            _absorb(recipient, absorbed)
        case Reverted() as reverted:
            _revert(recipient, reverted)
        case Erased():
            return Recipient(
                id=recipient.id, rev=recipient.rev, versions=recipient.versions, removed=True
            )
        case data:
            if isinstance(data, Withdrawn) and recipient.wants(data.topic, data.channel):
                recipient.withdrawals[f"{data.topic}|{data.channel}"] = event.time
            _fold(recipient, data, event.time)
    return recipient


def _belong(recipient: Recipient, event: Event) -> None:
    """Segments and lists that the customer is in."""
    match event.data:
        case Entered(segment=segment):
            entered = Membership(segment, event.time, event.light.streamversion)
            recipient.memberships = [*_without(recipient, segment), entered]
        case Exited(segment=segment):
            recipient.memberships = _without(recipient, segment)
        case Listed(list=name):
            recipient.lists = [*(each for each in recipient.lists if each != name), name]
        case Unlisted(list=name):
            recipient.lists = [each for each in recipient.lists if each != name]


def _fold(recipient: Recipient, data: object, at: datetime) -> None:
    match data:
        case Registered() as person:
            recipient.registered, recipient.registered_at = True, at
            recipient.contacts = _reaching(person.identifiers)
            _write(recipient, person, [])
        case Changed() as change:
            _write(recipient, change, change.cleared or [])
        case Added(identifier=contact):
            _add(recipient, [contact])
        case Noted() as noted:
            recipient.contacts = [_noted(each, noted) for each in recipient.contacts]
        case Removed() as removed:
            _remove(recipient, [removed])
        case Given(topic=topic, channel=channel, contact=bound, evidence=evidence):
            _note_consent(recipient, consent_key(topic, channel, bound or ""), evidence.at or at)
        case Withdrawn() as word:
            _withdraw(recipient, word)
        case Blacklisted() | BlacklistEnded():
            recipient.blacklisted = isinstance(data, Blacklisted)


def _write(recipient: Recipient, change: Fields, cleared: list[str]) -> None:
    for name in PERSONAL:
        value = getattr(change, name)
        if value is not None or name in cleared:
            setattr(recipient, name, value)
    if change.internal is not None or "internal" in cleared:
        recipient.internal = bool(change.internal)
    recipient.custom_dates = dates_after(recipient.custom_dates, change.custom or {}, cleared)
    recipient.days = day_keys(recipient.birth_date, recipient.registered_at, recipient.custom_dates)


def _add(recipient: Recipient, contacts: list[Contact]) -> None:
    for contact in _reaching(contacts):
        _remove(recipient, [Removed(contact.kind, contact.hash)])
        others = recipient.contacts
        if contact.preferred:
            others = [_noted(each, Noted(contact.kind, "", preferred=True)) for each in others]
        recipient.contacts = [*others, contact]


def _remove(recipient: Recipient, gone: list[Removed]) -> None:
    places = {(each.kind, each.hash) for each in gone}
    recipient.contacts = [
        each for each in recipient.contacts if (each.kind, each.hash) not in places
    ]


def _noted(contact: Contact, noted: Noted) -> Contact:
    """The contact with what is known of it, or of the one of its kind that is preferred now."""
    if contact.kind != noted.kind:
        return contact
    if contact.hash != noted.hash:
        return msgspec.structs.replace(contact, preferred=None) if noted.preferred else contact
    changed = {
        name: value
        for name in ("state", "preferred")
        if (value := getattr(noted, name)) is not None
    }
    return msgspec.structs.replace(contact, **changed)


def _agree(recipient: Recipient, states: list[ConsentState]) -> None:
    for state in states:
        key = consent_key(state.topic, state.channel, state.contact or "")
        at = None if state.evidence is None else state.evidence.at
        _note_consent(recipient, key, at, given=state.given)


def _withdraw(recipient: Recipient, word: Withdrawn) -> None:
    about = consent_key(word.topic, word.channel, word.contact or "")
    if word.contact is not None:
        _note_consent(recipient, about, None, given=False)
        return
    for key in [key for key in recipient.consents if key.startswith(about)]:
        _note_consent(recipient, key, None, given=None)


def _note_consent(
    recipient: Recipient, key: str, at: datetime | None, *, given: bool | None = True
) -> None:
    """What counts for a key; None: neither given nor withdrawn."""
    recipient.agreed.pop(key, None)
    if given is None:
        recipient.consents.pop(key, None)
        return
    recipient.consents[key] = given
    if given and at is not None:
        recipient.agreed[key] = at


def _absorb(recipient: Recipient, absorbed: Absorbed) -> None:
    _add(recipient, absorbed.identifiers)
    _agree(recipient, absorbed.consents)
    _write(recipient, absorbed.fields, [])
    recipient.blacklisted = recipient.blacklisted or absorbed.blacklist is not None


def _revert(recipient: Recipient, reverted: Reverted) -> None:
    _agree(recipient, reverted.consents)
    if reverted.role == "loser":
        recipient.merged = None
        recipient.contacts = _reaching(reverted.identifiers)
        return
    recipient.absorbed = [each for each in recipient.absorbed if each.other != reverted.other]
    _remove(recipient, reverted.released)
    _add(recipient, reverted.identifiers)
    _write(recipient, Fields(), reverted.cleared)
    recipient.blacklisted = recipient.blacklisted and "blacklist" not in reverted.cleared


def _reaching(contacts: list[Contact]) -> list[Contact]:
    return [each for each in contacts if each.kind in REACHING]


def _without(recipient: Recipient, segment: str) -> list[Membership]:
    return [each for each in recipient.memberships if each.segment != segment]


RECIPIENTS: Projection[Recipient] = Projection(
    name="recipients_v5",
    topics=("customer.events.v1", "segment.events.v1", "list.events.v1"),
    reads={
        CustomerRegistered.type: Registered,
        CustomerChanged.type: Changed,
        IdentifierAdded.type: Added,
        IdentifierChanged.type: Noted,
        IdentifierRemoved.type: Removed,
        ConsentGiven.type: Given,
        ConsentWithdrawn.type: Withdrawn,
        CustomerBlacklisted.type: Blacklisted,
        BlacklistingEnded.type: BlacklistEnded,
        CustomerMerged.type: Merged,
        CustomerAbsorbed.type: Absorbed,
        MergeReverted.type: Reverted,
        CustomerErased.type: Erased,
        SegmentEntered.type: Entered,
        SegmentExited.type: Exited,
        ListEntered.type: Listed,
        ListLeft.type: Unlisted,
    },
    document=Recipient,
    target=_target,
    apply=apply,
    opens=True,
    gapless=True,
    blank=lambda customer: Recipient(id=customer),
    indexes=(
        (("memberships.segment", 1), ("_id", 1)),
        (("lists", 1), ("_id", 1)),
        (("contacts.hash", 1),),
        (("days", 1), ("_id", 1)),
    ),
)
