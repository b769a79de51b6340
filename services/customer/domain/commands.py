"""What may be asked of a customer. Time, ids and what else a decision needs come in with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.events import care
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    IdentifierKind,
    IdentifierState,
    RecordFields,
)
from shared.eventstore import Claim
from shared.identifiers import KnownIdentifier, claim_id

PERSON = "person"
"""The giver of what no rule gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerCommand:
    """A command on one customer, with its time and the claims on the values that it touches.

    `if_match` are the versions that it may rest on (None: any); `by` is the id of the principal.
    """

    customer: str
    at: datetime
    claims: Mapping[str, Claim] = field(default_factory=dict)
    if_match: frozenset[int] | None = None
    by: str | None = None

    @property
    def claim_ids(self) -> Sequence[str]:
        """The claims that must be known to decide."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIdentifier:
    """An identifier to be added, and what is known of it."""

    known: KnownIdentifier
    state: IdentifierState | None = None
    preferred: bool = False
    shared: bool = False
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(CustomerCommand):
    """Make a customer known; `person` carries the record without identifiers.

    `further` is what a new customer has from the start: tags, categories, status, responsible.
    """

    person: CustomerRegistered
    identifiers: tuple[NewIdentifier, ...] = ()
    consents: tuple[ConsentGiven | ConsentWithdrawn, ...] = ()
    further: tuple[
        care.TagsChanged
        | care.CategoriesChanged
        | care.StatusChanged
        | care.ResponsibleAssigned
        | care.NoteAdded,
        ...,
    ] = ()

    @property
    def claim_ids(self) -> Sequence[str]:
        """One per identifier that is not shared."""
        return [each.known.claim_id for each in self.identifiers if not each.shared]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord(CustomerCommand):
    """Give fields other values; `cleared` are fields (custom ones `custom.<name>`) to be empty."""

    fields: RecordFields
    cleared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddIdentifier(CustomerCommand):
    """Let the customer be found by one more value."""

    identifier: NewIdentifier

    @property
    def claim_ids(self) -> Sequence[str]:
        """Its own, unless it is shared."""
        return [] if self.identifier.shared else [self.identifier.known.claim_id]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeIdentifier(CustomerCommand):
    """Note what is known of a contact point; None leaves it as it is."""

    kind: IdentifierKind
    hash: str
    state: IdentifierState | None = None
    preferred: bool | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveIdentifier(CustomerCommand):
    """Let the customer be found by a value no longer."""

    kind: IdentifierKind
    hash: str

    @property
    def claim_ids(self) -> Sequence[str]:
        """Its own."""
        return [claim_id(self.kind, self.hash)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveConsent(CustomerCommand):
    """Record that the customer agreed."""

    consent: ConsentGiven


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawConsent(CustomerCommand):
    """Record that the customer agrees no longer."""

    withdrawn: ConsentWithdrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTags(CustomerCommand):
    """Put tags on and take tags off."""

    add: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCategories(CustomerCommand):
    """Give and withdraw categories in the name of `giver` (`person` or `rule:<name>`).

    A person withdraws a category whoever gave it; a rule only what it gave itself.
    """

    give: frozenset[str] = frozenset()
    withdraw: frozenset[str] = frozenset()
    giver: str = PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDiscount(CustomerCommand):
    """Grant a discount (hundredths of a percent; None: none) in the name of `giver`."""

    discount: int | None
    giver: str = PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStatus(CustomerCommand):
    """Bring the customer to a status; `may_follow` is told the present one and may refuse.

    Without a status of their own customers have the one that the path begins with (None).
    """

    status: str
    may_follow: Callable[[str | None], None]
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blacklist(CustomerCommand):
    """Stop advertising and warn tills, until a moment or until it is lifted."""

    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftBlacklisting(CustomerCommand):
    """Take the customer off the blacklist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignResponsible(CustomerCommand):
    """Let an employee look after the customer, or nobody; `instead_of` must do so now, if given."""

    employee: str | None
    instead_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteNote(CustomerCommand):
    """Write a note, or give the note of this id another text."""

    note: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveNote(CustomerCommand):
    """Take a note away."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachDocument(CustomerCommand):
    """Let a file that is stored already belong to the customer."""

    document: care.DocumentAttached


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDocument(CustomerCommand):
    """Take a file away."""

    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive(CustomerCommand):
    """Put the record out of sight, in the name of `giver`."""

    giver: str = PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(CustomerCommand):
    """Bring an archived record back."""

    giver: str = PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmFields(CustomerCommand):
    """Note that fields were looked at and still say what is true."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTask(CustomerCommand):
    """Ask, by an event, for a task on the customer."""

    task: care.TaskRequested


@dataclass(frozen=True, slots=True, kw_only=True)
class DismissDuplicate(CustomerCommand):
    """Note that another customer is another person, however alike they are."""

    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMessage(CustomerCommand):
    """Ask, by an event, for a message to the customer."""

    message: care.MessageRequested


Command = (
    Register
    | ChangeRecord
    | AddIdentifier
    | ChangeIdentifier
    | RemoveIdentifier
    | GiveConsent
    | WithdrawConsent
    | ChangeTags
    | ChangeCategories
    | SetDiscount
    | SetStatus
    | Blacklist
    | LiftBlacklisting
    | AssignResponsible
    | WriteNote
    | RemoveNote
    | AttachDocument
    | RemoveDocument
    | Archive
    | Restore
    | ConfirmFields
    | RequestTask
    | RequestMessage
    | DismissDuplicate
)
