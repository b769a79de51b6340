"""The fold of the list: a customer's own events, the receipts, the memberships.

The topics come in no order between them, so an entry may begin with a receipt. Receipts of somebody
who is merged are here until the interaction service says that they have moved.
"""

from typing import Any

import msgspec

from services.customer.projections.directory import reading
from services.customer.projections.directory.entry import DirectoryEntry
from services.customer.projections.directory.keys import (
    refresh,
    refresh_segments,
    refresh_totals,
)
from services.customer.projections.directory.purchases import purchase
from services.customer.projections.directory.reading import Contact, Grant, RecordPart
from shared.events import care
from shared.events.customer import ConsentGiven
from shared.events.segment import SegmentEntered
from shared.moves import Ended, Moving
from shared.projection import Event

CUSTOM = "custom."
FIELDS = tuple(name for name in RecordPart.__struct_fields__ if name not in {"internal", "custom"})


def blank(customer: str) -> DirectoryEntry:
    """An entry of which nothing is known yet."""
    return DirectoryEntry(id=customer)


def apply(entry: DirectoryEntry | None, event: Event) -> DirectoryEntry:
    """The entry after an event."""
    if entry is None:
        entry = blank(event.light.subject or "")
    if entry.erased:
        return entry
    data = event.data
    match data:
        case reading.Receipt() | reading.Return() | reading.Void() | Moving() | Ended():
            purchase(entry, event)
            refresh_totals(entry)
        case reading.Membership(segment=segment):
            others = [each for each in entry.segments if each != segment]
            entered = event.type == SegmentEntered.type
            entry.segments = sorted([*others, segment]) if entered else others
            refresh_segments(entry)
        case reading.Erased():
            return _wiped(entry)
        case _:
            _customer(entry, event, data)
            refresh(entry)
    return entry


def _customer(entry: DirectoryEntry, event: Event, data: Any) -> None:  # noqa: ANN401 - one of the structs that are read
    match data:
        case reading.Registered():
            entry.registered_at = event.time
            entry.contacts = data.identifiers
            _write(entry, data)
        case reading.Changed():
            _write(entry, data)
            _clear(entry, data.cleared or [])
        case reading.Added(identifier=contact):
            _with_contacts(entry, [contact])
        case reading.PointChanged():
            _change_contact(entry, data)
        case reading.Removed():
            _without_contacts(entry, [data])
        case reading.Consent():
            _consent(entry, data, given=event.type == ConsentGiven.type)
        case reading.Merged(survivor=survivor):
            entry.merged_into = survivor
        case reading.Absorbed():
            _absorb(entry, data)
        case reading.Reverted():
            _revert(entry, data)
        case _:
            _care(entry, event, data)


def _care(entry: DirectoryEntry, event: Event, data: Any) -> None:  # noqa: ANN401 - as above
    match data:
        case reading.Categories(given=given, withdrawn=withdrawn):
            _grant(entry, given)
            _withdraw(entry, withdrawn)
        case reading.Tags(added=added, removed=removed):
            entry.tags = sorted((set(entry.tags) | set(added)) - set(removed))
        case reading.Discount(by=by, discount=discount):
            entry.discounts.pop(by, None)
            if discount is not None:
                entry.discounts[by] = discount
        case reading.Status(status=status):
            entry.status = status
        case reading.Responsible(employee=employee):
            entry.responsible = employee
        case reading.Blacklisting():
            entry.blacklisted = event.type == care.CustomerBlacklisted.type
        case reading.Shelved():
            entry.archived = event.type == care.CustomerArchived.type
        case _:
            message = f"the list does not know how to read {event.type}"
            raise TypeError(message)


def _write(entry: DirectoryEntry, part: RecordPart) -> None:
    for name in FIELDS:
        value = getattr(part, name)
        if value is not None:
            setattr(entry, name, value)
    if part.internal is not None:
        entry.internal = part.internal
    entry.custom |= part.custom or {}


def _clear(entry: DirectoryEntry, names: list[str]) -> None:
    for name in names:
        if name.startswith(CUSTOM):
            entry.custom.pop(name.removeprefix(CUSTOM), None)
        elif name == "internal":
            entry.internal = False
        elif name in FIELDS:
            setattr(entry, name, None)


def _with_contacts(entry: DirectoryEntry, added: list[Contact]) -> None:
    for contact in added:
        others = [
            each
            for each in entry.contacts
            if (each.kind, each.hash) != (contact.kind, contact.hash)
        ]
        if contact.preferred:
            others = _preferring(others, contact.kind)
        entry.contacts = [*others, contact]


def _without_contacts(entry: DirectoryEntry, removed: list[reading.Removed]) -> None:
    gone = {(each.kind, each.hash) for each in removed}
    entry.contacts = [each for each in entry.contacts if (each.kind, each.hash) not in gone]


def _change_contact(entry: DirectoryEntry, data: reading.PointChanged) -> None:
    if all((each.kind, each.hash) != (data.kind, data.hash) for each in entry.contacts):
        return
    if data.preferred:
        entry.contacts = _preferring(entry.contacts, data.kind)
    for contact in entry.contacts:
        if (contact.kind, contact.hash) == (data.kind, data.hash):
            contact.state = contact.state if data.state is None else data.state
            contact.preferred = contact.preferred if data.preferred is None else data.preferred


def _preferring(contacts: list[Contact], kind: str) -> list[Contact]:
    return [
        msgspec.structs.replace(each, preferred=None) if each.kind == kind else each
        for each in contacts
    ]


def _consent(entry: DirectoryEntry, data: reading.Consent, *, given: bool) -> None:
    subject = f"{data.topic}|{data.channel}|"
    entry.consent_states[subject + (data.contact or "")] = given
    if not given and data.contact is None:
        for key in entry.consent_states:
            if key.startswith(subject):
                entry.consent_states[key] = False


def _consents(entry: DirectoryEntry, states: list[reading.ConsentState]) -> None:
    for state in states:
        key = f"{state.topic}|{state.channel}|{state.contact or ''}"
        entry.consent_states.pop(key, None)
        if state.given is not None:
            entry.consent_states[key] = state.given


def _grant(entry: DirectoryEntry, given: list[Grant]) -> None:
    entry.categories += [each for each in given if each not in entry.categories]


def _withdraw(entry: DirectoryEntry, withdrawn: list[Grant]) -> None:
    entry.categories = [each for each in entry.categories if each not in withdrawn]


def _absorb(entry: DirectoryEntry, data: reading.Absorbed) -> None:
    entry.absorbed.append(data.other)
    entry.contacts = [
        *(
            each
            for each in entry.contacts
            if all((each.kind, each.hash) != (new.kind, new.hash) for new in data.identifiers)
        ),
        *data.identifiers,
    ]
    _consents(entry, data.consents)
    _write(entry, data.fields)
    entry.tags = sorted({*entry.tags, *data.tags})
    _grant(entry, data.categories)
    entry.discounts |= {
        each.by: each.discount for each in data.discounts if each.discount is not None
    }
    entry.status = data.status or entry.status
    entry.responsible = data.responsible or entry.responsible
    entry.blacklisted = entry.blacklisted or data.blacklist is not None


def _revert(entry: DirectoryEntry, data: reading.Reverted) -> None:
    if data.role == "loser":
        entry.merged_into = None
        entry.contacts = data.identifiers
        _consents(entry, data.consents)
        return
    if data.other in entry.absorbed:
        entry.absorbed.remove(data.other)
    _without_contacts(entry, data.released)
    entry.contacts += data.identifiers
    _consents(entry, data.consents)
    _clear(entry, data.cleared)
    for name in ("status", "responsible"):
        if name in data.cleared:
            setattr(entry, name, None)
    if "blacklist" in data.cleared:
        entry.blacklisted = False
    entry.tags = sorted(set(entry.tags) - set(data.tags_removed))
    _withdraw(entry, data.categories_withdrawn)
    for by in data.discounts_withdrawn:
        entry.discounts.pop(by, None)


def _wiped(entry: DirectoryEntry) -> DirectoryEntry:
    """A tombstone: versions, and what became of it; nothing about the person."""
    return DirectoryEntry(
        id=entry.id,
        rev=entry.rev,
        versions=entry.versions,
        removed=True,
        erased=True,
        merged_into=entry.merged_into,
        absorbed=entry.absorbed,
    )
