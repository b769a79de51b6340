"""What events say that care has to know: structs of just these fields, and what they change.

Values are never looked at, only whether there are any: sealed ones stay sealed.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec

from services.customer.engine.document import CONTACTS, RECORD, Care, InMotion
from shared.envelope import Zoned
from shared.events import care, customer, deal, merging
from shared.events.interaction import ReceiptRecorded, ReceiptVoided
from shared.moments import counted, ends_of, milliseconds, unpacked, with_moment
from shared.moves import MOVES, Ended, MovedFacts, Moving
from shared.projection import Event

CUSTOM = "custom."
BLACKLIST = "blacklist"


class Contact(msgspec.Struct, gc=False):
    """A way to find the customer."""

    kind: str
    hash: str


class Record(msgspec.Struct):
    """The fields of a record that may have update rules."""

    surname: str | None = None
    name: str | None = None
    birth_date: str | None = None
    address: str | None = None
    city: str | None = None
    workplace: str | None = None
    home_branch: str | None = None
    custom: dict[str, Any] | None = None


class Registered(Record):
    """Of `customer.registered`."""

    identifiers: list[Contact] = msgspec.field(default_factory=list)


class Changed(Record):
    """Of `customer.changed`."""

    cleared: list[str] | None = None


class Added(msgspec.Struct):
    """Of `customer.identifier_added`."""

    identifier: Contact


class ContactChanged(msgspec.Struct):
    """Of `customer.identifier_changed`."""

    kind: str
    hash: str
    state: str | None = None


class Removed(msgspec.Struct):
    """Of `customer.identifier_removed`."""

    kind: str
    hash: str


class Confirmed(msgspec.Struct):
    """Of `customer.fields_confirmed`."""

    fields: list[str]


class Blacklisted(msgspec.Struct):
    """Of `customer.blacklisted`."""

    until: datetime | None = None


class Lifted(msgspec.Struct):
    """Of `customer.blacklisting_ended`."""


class Archived(msgspec.Struct):
    """Of `customer.archived`."""

    by: str


class Restored(msgspec.Struct):
    """Of `customer.restored`."""


class Merged(msgspec.Struct):
    """Of `customer.merged`."""


class Absorbed(msgspec.Struct):
    """Of `customer.absorbed`."""

    identifiers: list[Contact] = msgspec.field(default_factory=list)
    fields: Record = msgspec.field(default_factory=Record)
    blacklist: Blacklisted | None = None


class Reverted(msgspec.Struct):
    """Of `customer.merge_reverted`."""

    role: str
    released: list[Contact] = msgspec.field(default_factory=list)
    identifiers: list[Contact] = msgspec.field(default_factory=list)
    cleared: list[str] = msgspec.field(default_factory=list)


class Erased(msgspec.Struct):
    """Of `customer.erased`."""


class DealOpen(msgspec.Struct):
    """Of `deal.opened` and `deal.reopened`."""

    deal: str


class DealClosed(msgspec.Struct):
    """Of `deal.won`, `deal.lost` and `deal.transferred`."""

    deal: str


class Continued(msgspec.Struct):
    """Of `deal.continued`."""

    deal: str
    status: str


class Happened(msgspec.Struct):
    """Of an event that is nothing but a sign of life."""


class Receipt(msgspec.Struct):
    """Of `interaction.receipt_recorded`."""


class Voided(msgspec.Struct):
    """Of `interaction.receipt_voided`."""

    bought: Zoned


FACTS: Mapping[str, type[msgspec.Struct]] = MappingProxyType(
    {ReceiptRecorded.type: Receipt, ReceiptVoided.type: Voided}
)
"""Facts that change hands, and what is read of them. A return is no sign of life."""
READS: Mapping[str, type[msgspec.Struct]] = MappingProxyType(
    {
        customer.CustomerRegistered.type: Registered,
        customer.CustomerChanged.type: Changed,
        customer.IdentifierAdded.type: Added,
        customer.IdentifierChanged.type: ContactChanged,
        customer.IdentifierRemoved.type: Removed,
        customer.ConsentGiven.type: Happened,
        customer.ConsentWithdrawn.type: Happened,
        care.FieldsConfirmed.type: Confirmed,
        care.CustomerBlacklisted.type: Blacklisted,
        care.BlacklistingEnded.type: Lifted,
        care.NoteAdded.type: Happened,
        care.DocumentAttached.type: Happened,
        care.CustomerArchived.type: Archived,
        care.CustomerRestored.type: Restored,
        merging.CustomerMerged.type: Merged,
        merging.CustomerAbsorbed.type: Absorbed,
        merging.MergeReverted.type: Reverted,
        merging.CustomerErased.type: Erased,
        deal.DealOpened.type: DealOpen,
        deal.DealReopened.type: DealOpen,
        deal.DealContinued.type: Continued,
        deal.DealStageMoved.type: Happened,
        deal.DealWon.type: DealClosed,
        deal.DealLost.type: DealClosed,
        deal.DealTransferred.type: DealClosed,
        **FACTS,
        **MOVES,
    }
)
_MOVED = MovedFacts(FACTS)
_SIGNS_OF_LIFE = (
    Registered, Changed, Added, ContactChanged, Removed, Confirmed, Restored, Absorbed,
    DealOpen, DealClosed, Happened, Receipt,
)  # fmt: skip


def take(known: Care, event: Event) -> None:
    """Note in the document what the event says; it is the caller's alone."""
    light, data = event.light, event.data
    at = min(light.time, light.recordedtime)
    _live(known, event, at)
    match data:
        case Registered(identifiers=identifiers):
            _fields(known, data, at)
            _contacts(known, identifiers, at)
        case Changed(cleared=cleared):
            _fields(known, data, at)
            _forget(known, cleared or ())
        case Confirmed(fields=fields):
            for name in set(fields) & known.known.keys():
                _right(known, name, at)
        case Added(identifier=contact):
            _contacts(known, [contact], at)
        case ContactChanged(kind=kind, state="verified"):
            _right(known, kind, at)
        case Removed():
            _without(known, [Contact(data.kind, data.hash)])
        case _:
            _standing(known, data, at)


def _live(known: Care, event: Event, at: datetime) -> None:
    """When something happened last: receipts can turn out not to have happened, or not here."""
    light, data = event.light, event.data
    if known.other is None and not known.bought:
        known.other = known.last  # what was known before receipts were told apart
    match data:
        case Receipt():
            _buy(known, milliseconds(at), 1)
        case Voided(bought=bought):
            _buy(known, milliseconds(bought), -1)
        case Moving() as moving:
            _set_in_motion(known, moving)
        case Ended() as ended:
            _take_over(known, ended)
        case _ if isinstance(data, _SIGNS_OF_LIFE):
            known.other = at if known.other is None else max(known.other, at)
        case _:
            return
    moments = [each for each in (known.other, ends_of(known.bought)[1]) if each is not None]
    last = max(moments, default=None)
    if last != known.last or at == last:
        known.last, known.last_event = last, light.id


def _buy(known: Care, at: int, sign: int) -> None:
    known.bought, known.owed = counted(known.bought, known.owed, at, sign)


def _set_in_motion(known: Care, moving: Moving) -> None:
    held = next((each for each in known.moving if each.move == moving.move), None)
    bought, voided = (b"", b"") if held is None else (held.bought, held.voided)
    for fact in _MOVED.of(moving):
        match fact.data:
            case Receipt():
                bought = with_moment(bought, milliseconds(min(fact.time, fact.recorded)))
            case Voided(bought=at):
                voided = with_moment(voided, milliseconds(at))
    _put(known, InMotion(moving.move, bought, voided))


def _take_over(known: Care, ended: Ended) -> None:
    for motion in known.moving:
        if motion.move == ended.move:
            sign = 1 if ended.comes else -1
            for at in unpacked(motion.bought):
                _buy(known, at, sign)
            for at in unpacked(motion.voided):
                _buy(known, at, -sign)
    known.moving = [each for each in known.moving if each.move != ended.move]


def _put(known: Care, motion: InMotion) -> None:
    known.moving = [*(each for each in known.moving if each.move != motion.move), motion]


def is_sign_of_life(data: object) -> bool:
    """Whether somebody did something with the customer."""
    return isinstance(data, _SIGNS_OF_LIFE) and not isinstance(data, Restored)


def _standing(known: Care, data: object, at: datetime) -> None:
    match data:
        case Blacklisted(until=until):
            known.blacklisted = until
        case Lifted():
            known.blacklisted = None
        case Archived():
            known.archived, known.called = True, False
        case Restored():
            known.archived = known.called = False
        case DealOpen(deal=name) | Continued(deal=name, status="open"):
            known.deals = sorted({*known.deals, name})
        case DealClosed(deal=name):
            known.deals = [each for each in known.deals if each != name]
        case _:
            _merging(known, data, at)


def _merging(known: Care, data: object, at: datetime) -> None:
    match data:
        case Merged():
            known.merged = True
        case Absorbed(identifiers=identifiers, fields=fields, blacklist=blacklist):
            _fields(known, fields, at)
            _contacts(known, identifiers, at)
            if blacklist is not None:
                known.blacklisted = blacklist.until
        case Reverted():
            _revert(known, data, at)
        case Erased():
            known.erased = True
            known.contacts, known.known, known.overdue, known.inactive = {}, {}, {}, {}


def _revert(known: Care, data: Reverted, at: datetime) -> None:
    """A loser finds itself by exactly these again; a survivor lets go of what it had been given."""
    back = {(each.kind, each.hash) for each in data.identifiers}
    if data.role == "loser":
        known.merged = False
        held = [Contact(kind, each) for kind, all_ in known.contacts.items() for each in all_]
    else:
        held = data.released
        _forget(known, data.cleared)
        if BLACKLIST in data.cleared:
            known.blacklisted = None
    _without(known, [each for each in held if (each.kind, each.hash) not in back])
    _contacts(known, data.identifiers, at)


def _fields(known: Care, data: Record, at: datetime) -> None:
    for name in RECORD:
        if getattr(data, name) is not None:
            _right(known, name, at)
    for name in data.custom or {}:
        _right(known, f"{CUSTOM}{name}", at)
    if data.home_branch is not None:
        known.branch = data.home_branch


def _contacts(known: Care, contacts: Iterable[Contact], at: datetime) -> None:
    for each in contacts:
        hashes = known.contacts.get(each.kind, [])
        if each.hash in hashes:
            continue
        known.contacts = {**known.contacts, each.kind: [*hashes, each.hash]}
        if each.kind in CONTACTS:
            _right(known, each.kind, at)


def _without(known: Care, contacts: Iterable[Contact]) -> None:
    for each in contacts:
        left = [value for value in known.contacts.get(each.kind, []) if value != each.hash]
        known.contacts = {**known.contacts, each.kind: left}
        if not left:
            del known.contacts[each.kind]
            _forget(known, [each.kind])


def _right(known: Care, name: str, at: datetime) -> None:
    """The field is right as of the moment, unless a later one is known."""
    before = known.known.get(name)
    known.known = {**known.known, name: at if before is None else max(before, at)}


def _forget(known: Care, names: Iterable[str]) -> None:
    gone = set(names)
    known.known = {name: at for name, at in known.known.items() if name not in gone}
    known.overdue = {name: at for name, at in known.overdue.items() if name not in gone}
