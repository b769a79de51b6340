"""What takes a row back: what it changed becomes as it was, unless somebody has touched it since.

Everything is read from the customer's own stream: what stood before the row, what the row said,
and what came after from others. Nothing of a person is kept anywhere else for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.customer.domain.commands import (
    Archive,
    ChangeRecord,
    ChangeTags,
    Command,
    GiveConsent,
    RemoveIdentifier,
    WithdrawConsent,
)
from services.customer.domain.customer import CUSTOMER
from services.customer.domain.importing.planning import changed_fields
from services.customer.domain.state import CUSTOM, Customer
from shared.events import care, merging
from shared.events.contract import EventData
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    CustomerRegistered,
    Evidence,
    IdentifierAdded,
    IdentifierChanged,
    IdentifierRemoved,
    RecordFields,
)
from shared.identifiers import claim_id

GIVER = "import"
"""In whose name a customer who is taken back is archived."""
SOURCE = "import-reverted"
"""Source of the evidence that puts consents back."""
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Told:
    """One event of the customer's stream: of the row itself, of its import, or of somebody else."""

    data: EventData
    of_row: bool
    of_import: bool


@dataclass(frozen=True, slots=True)
class Undoing:
    """The commands that take a row back, and the names of what stays since it was changed."""

    parts: tuple[Command, ...] = ()
    kept: tuple[str, ...] = ()
    removes: bool = False


def undo(history: Sequence[Told], customer: str, by: str, at: datetime) -> Undoing:
    """What takes back the row whose events are marked in a customer's whole history."""
    undoing = _undo(history, {"customer": customer, "at": at, "by": by})
    if not undoing.parts:
        return undoing
    # What was looked at is what is changed: whoever comes in between is seen the next time.
    guarded = replace(undoing.parts[0], if_match=frozenset({len(history)}))
    return replace(undoing, parts=(guarded, *undoing.parts[1:]))


def _undo(history: Sequence[Told], about: dict[str, Any]) -> Undoing:
    first = next((index for index, told in enumerate(history) if told.of_row), None)
    if first is None:
        return Undoing()
    rows = [told.data for told in history if told.of_row]
    since = [told.data for told in history[first:] if not told.of_row and not told.of_import]
    touched = frozenset(key for data in since for key in _keys(data))
    now = CUSTOMER.fold(told.data for told in history)
    if isinstance(rows[0], CustomerRegistered):
        return Undoing(kept=(EVERYTHING,)) if since else _removal(now, about)
    if EVERYTHING in touched:
        return Undoing(kept=tuple(sorted({_shown(key) for row in rows for key in _keys(row)})))
    before = CUSTOMER.fold(told.data for told in history[:first])
    work = _Work(before, touched, about)
    for data in rows:
        work.take_back(data)
    return Undoing(tuple(work.parts), tuple(sorted(work.kept)))


def _removal(now: Customer, about: dict[str, Any]) -> Undoing:
    """Nothing finds the customer any more, and no list shows it."""
    removals = [
        RemoveIdentifier(kind=each.kind, hash=each.hash, **about)
        for each in now.identifiers.values()
    ]
    return Undoing((*removals, Archive(giver=GIVER, **about)), removes=True)


@dataclass(slots=True)
class _Work:
    """Gathers what takes back the events of one row."""

    before: Customer
    touched: frozenset[str]
    about: dict[str, Any]
    parts: list[Command] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)

    def take_back(self, data: EventData) -> None:
        """Add what takes back one event."""
        match data:
            case CustomerChanged():
                self._restore(data)
            case IdentifierAdded(identifier=added):
                if self._free(claim_id(added.kind, added.hash)):
                    removal = RemoveIdentifier(kind=added.kind, hash=added.hash, **self.about)
                    self.parts.append(removal)
            case care.TagsChanged(added=added_tags):
                mine = frozenset(tag for tag in added_tags if self._free(f"tag|{tag}"))
                if mine:
                    self.parts.append(ChangeTags(remove=mine, **self.about))
            case ConsentGiven() | ConsentWithdrawn():
                if self._free(_consent_key(data)):
                    self._say_again(data)

    def _free(self, key: str) -> bool:
        """Whether nobody has touched it since; what somebody has is noted as kept."""
        if key in self.touched:
            self.kept.add(_shown(key))
            return False
        return True

    def _restore(self, data: CustomerChanged) -> None:
        fields: dict[str, Any] = {}
        custom: dict[str, Any] = {}
        cleared: list[str] = []
        for name in changed_fields(data):
            if not self._free(name):
                continue
            if name.startswith(CUSTOM):
                plain = name.removeprefix(CUSTOM)
                had, into = (self.before.record.custom or {}).get(plain), custom
            else:
                plain, had, into = name, getattr(self.before.record, name), fields
            if had is None:
                cleared.append(name)
            else:
                into[plain] = had
        if fields or custom or cleared:
            record = RecordFields.model_validate({**fields, "custom": custom or None})
            self.parts.append(ChangeRecord(fields=record, cleared=tuple(cleared), **self.about))

    def _say_again(self, data: ConsentGiven | ConsentWithdrawn) -> None:
        """What stood before the row stands again, with evidence of its own."""
        key = (data.topic, data.channel, data.contact or "")
        standing = self.before.consents.get(key)
        given_before = standing is not None and standing.given
        if given_before == isinstance(data, ConsentGiven):
            return
        worded = standing.evidence.wording if standing and standing.evidence else None
        evidence = Evidence(source=SOURCE, wording=worded, by=self.about["by"], at=self.about["at"])
        said = {
            "topic": data.topic,
            "channel": data.channel,
            "contact": data.contact,
            "evidence": evidence,
        }
        if given_before:
            consent = ConsentGiven.model_validate(said)
            self.parts.append(GiveConsent(consent=consent, **self.about))
        else:
            withdrawn = ConsentWithdrawn.model_validate(said)
            self.parts.append(WithdrawConsent(withdrawn=withdrawn, **self.about))


def _keys(data: EventData) -> frozenset[str]:
    """What an event touches, by names that compare; `*` is all."""
    match data:
        case (
            merging.CustomerMerged()
            | merging.CustomerAbsorbed()
            | merging.MergeReverted()
            | merging.CustomerErased()
        ):
            return frozenset({EVERYTHING})
        case CustomerChanged():
            return frozenset({*changed_fields(data), *(data.cleared or ())})
        case IdentifierAdded(identifier=added):
            return frozenset({claim_id(added.kind, added.hash)})
        case IdentifierChanged() | IdentifierRemoved():
            return frozenset({claim_id(data.kind, data.hash)})
        case care.TagsChanged():
            return frozenset(f"tag|{tag}" for tag in (*data.added, *data.removed))
        case ConsentGiven() | ConsentWithdrawn():
            return frozenset({_consent_key(data)})
        case _:
            return frozenset()


def _consent_key(data: ConsentGiven | ConsentWithdrawn) -> str:
    return f"consent|{data.topic}|{data.channel}|{data.contact or ''}"


def _shown(key: str) -> str:
    """The name that a report shows: no hash of an identifier."""
    first, *rest = key.split("|")
    if first == "consent":
        return f"consent.{rest[0]}.{rest[1]}"
    return "tags" if first == "tag" else first
