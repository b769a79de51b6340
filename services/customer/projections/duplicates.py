"""`duplicates`: what each customer is compared with others by, and the blocks it is looked for in.

A customer who was merged or erased is in no block. `stale` says that pairs have not been looked for
since the last change; whoever looks takes it back, guarded by `rev` like every write. It is not
part of the fold's result, as `rev` is not.
"""

import msgspec

from services.customer.domain.likeness import Likeness, blocks
from shared.events.customer import (
    CustomerChanged,
    CustomerRegistered,
    IdentifierAdded,
    IdentifierRemoved,
)
from shared.events.merging import (
    CustomerAbsorbed,
    CustomerErased,
    CustomerMerged,
    DuplicateDismissed,
    MergeReverted,
)
from shared.identifiers import claim_id
from shared.projection import Document, Event, Projection

FIELDS = ("surname", "name", "patronymic", "birth_date", "city", "home_branch")


class Known(msgspec.Struct, gc=False, omit_defaults=True):
    """A phone, or a value that is shared; `value` is absent once it was erased."""

    kind: str
    hash: str
    value: str | None = None
    shared: bool | None = None


class Candidate(Document, kw_only=True, omit_defaults=True):
    """One customer. `blocks` are keyed hashes; `dismissed` are customers who are somebody else."""

    surname: str | None = None
    name: str | None = None
    patronymic: str | None = None
    birth_date: str | None = None
    city: str | None = None
    home_branch: str | None = None
    known: list[Known] = msgspec.field(default_factory=list)
    blocks: list[str] = msgspec.field(default_factory=list)
    dismissed: list[str] = msgspec.field(default_factory=list)
    merged: bool = False
    stale: bool = False

    @property
    def likeness(self) -> Likeness:
        """What it is compared by."""
        return Likeness(
            surname=self.surname,
            name=self.name,
            patronymic=self.patronymic,
            birth_date=self.birth_date,
            city=self.city,
            phones=[each.value.lstrip("+") for each in self.known
                    if each.kind == "phone" and each.value is not None],
            shared=[claim_id(each.kind, each.hash) for each in self.known if each.shared],
        )  # fmt: skip


class Fields(msgspec.Struct, kw_only=True):
    """What is read of the fields of a record."""

    surname: str | None = None
    name: str | None = None
    patronymic: str | None = None
    birth_date: str | None = None
    city: str | None = None
    home_branch: str | None = None


class Registered(Fields, kw_only=True):
    """Of `customer.registered`."""

    identifiers: list[Known] = msgspec.field(default_factory=list)


class Changed(Fields, kw_only=True):
    """Of `customer.changed`."""

    cleared: list[str] | None = None


class Added(msgspec.Struct):
    """Of `customer.identifier_added`."""

    identifier: Known


class Gone(msgspec.Struct):
    """Of `customer.identifier_removed`, and of what a revert releases."""

    kind: str
    hash: str


class Merged(msgspec.Struct):
    """Of `customer.merged`."""


class Absorbed(msgspec.Struct):
    """Of `customer.absorbed`."""

    identifiers: list[Known] = msgspec.field(default_factory=list)
    fields: Fields = msgspec.field(default_factory=Fields)


class Reverted(msgspec.Struct):
    """Of `customer.merge_reverted`."""

    role: str
    released: list[Gone] = msgspec.field(default_factory=list)
    identifiers: list[Known] = msgspec.field(default_factory=list)
    cleared: list[str] = msgspec.field(default_factory=list)


class Dismissed(msgspec.Struct):
    """Of `customer.duplicate_dismissed`."""

    other: str


class Erased(msgspec.Struct):
    """Of `customer.erased`."""


def _target(event: Event) -> str | None:
    return event.light.subject


def _apply(candidate: Candidate, data: object) -> None:
    match data:
        case Registered():
            _write(candidate, data, [])
            _know(candidate, data.identifiers)
        case Changed():
            _write(candidate, data, data.cleared or [])
        case Added(identifier=known):
            _know(candidate, [known])
        case Gone():
            _forget(candidate, [data])
        case Merged():
            candidate.merged = True
        case Absorbed():
            _know(candidate, data.identifiers)
            _write(candidate, data.fields, [])
        case Reverted(role="loser"):
            candidate.merged, candidate.known = False, []
            _know(candidate, data.identifiers)
        case Reverted():
            _forget(candidate, data.released)
            _know(candidate, data.identifiers)
            _write(candidate, Fields(), data.cleared)
        case Dismissed(other=other):
            candidate.dismissed = sorted({*candidate.dismissed, other})


def _write(candidate: Candidate, fields: Fields, cleared: list[str]) -> None:
    for name in FIELDS:
        value = getattr(fields, name)
        if value is not None or name in cleared:
            setattr(candidate, name, value)


def _know(candidate: Candidate, known: list[Known]) -> None:
    """Phones, and what several people have; others find their one owner by themselves."""
    useful = [each for each in known if each.kind == "phone" or each.shared]
    _forget(candidate, [Gone(each.kind, each.hash) for each in useful])
    candidate.known = [*candidate.known, *useful]


def _forget(candidate: Candidate, gone: list[Gone]) -> None:
    places = {(each.kind, each.hash) for each in gone}
    candidate.known = [each for each in candidate.known if (each.kind, each.hash) not in places]


def duplicates(secret: bytes) -> Projection[Candidate]:
    """The projection; `secret` is the chain's secret of keyed hashes."""

    def apply(candidate: Candidate | None, event: Event) -> Candidate:
        """The candidate after an event; who was erased stays so."""
        if candidate is None:
            candidate = Candidate(id=event.light.subject or "")
        if candidate.removed:
            return candidate
        if isinstance(event.data, Erased):
            return Candidate(
                id=candidate.id,
                rev=candidate.rev,
                versions=candidate.versions,
                removed=True,
                stale=True,
            )
        _apply(candidate, event.data)
        candidate.blocks = [] if candidate.merged else blocks(candidate.likeness, secret)
        candidate.stale = True
        return candidate

    return Projection(
        name="duplicates_v1",
        topics=("customer.events.v1",),
        reads={
            CustomerRegistered.type: Registered,
            CustomerChanged.type: Changed,
            IdentifierAdded.type: Added,
            IdentifierRemoved.type: Gone,
            CustomerMerged.type: Merged,
            CustomerAbsorbed.type: Absorbed,
            MergeReverted.type: Reverted,
            DuplicateDismissed.type: Dismissed,
            CustomerErased.type: Erased,
        },
        document=Candidate,
        target=_target,
        apply=apply,
        opens=True,
        indexes=((("blocks", 1),), (("stale", 1), ("_id", 1))),
    )
