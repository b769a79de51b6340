"""Companies: who they are, which customers speak for them, and whose tax id is whose.

A tax id belongs to one company at most, held by a claim; an archived company keeps its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from shared.claims import ClaimPolicy
from shared.decider import Decider, NewEvent, Refused, invalid, not_found
from shared.events.company import (
    CompanyArchived,
    CompanyChanged,
    CompanyContactRemoved,
    CompanyContactSet,
    CompanyFields,
    CompanyRegistered,
    CompanyRestored,
)
from shared.events.contract import EventData
from shared.eventstore import Claim, ClaimChange

KIND = "company"
OUTDATED = "outdated"
MAX_CONTACTS = 200
FIELDS = tuple(CompanyFields.model_fields)
NEEDED = "name"


def stream_of(company: str) -> str:
    """The stream of a company, which is its Kafka key too."""
    return f"company-{company}"


def whatever(_version: int | None) -> None:
    """The change rests on no version."""


def anywhere(_branch: str | None) -> None:
    """The caller may touch companies of any branch."""


@dataclass(frozen=True, slots=True)
class Company:
    """A company as its stream has it; `version` counts its events (0: there is none)."""

    version: int = 0
    fields: CompanyFields = field(default_factory=CompanyFields)
    contacts: Mapping[str, CompanyContactSet] = field(default_factory=dict)
    archived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyCommand:
    """A command on a company.

    `rests_on` is asked with its version, `may_touch` with its branch; either may refuse.
    """

    company: str
    at: datetime
    rests_on: Callable[[int | None], None] = whatever
    may_touch: Callable[[str | None], None] = anywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Claiming(CompanyCommand):
    """A command that may touch tax ids.

    `seen` is the tax id that the company had when it was looked at, `hashed` gives the id of the
    claim on one.
    """

    hashed: Callable[[str], str]
    fields: CompanyFields
    seen: str | None = None
    claims: Mapping[str, Claim] = field(default_factory=dict)

    @property
    def claim_ids(self) -> Sequence[str]:
        """That of the tax id that it had, and of the one that it shall have."""
        return [self.hashed(each) for each in (self.seen, self.fields.tax_id) if each is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterCompany(Claiming):
    """Make a company known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCompany(Claiming):
    """Give fields other values; `cleared` ones are to be empty."""

    cleared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetContact(CompanyCommand):
    """Let a customer speak for the company."""

    customer: str
    position: str | None = None
    decides: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveContact(CompanyCommand):
    """Let a customer speak for the company no longer; `others` are the same person by merges."""

    customer: str
    others: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveCompany(CompanyCommand):
    """Put a company out of sight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreCompany(CompanyCommand):
    """Bring a company back into sight."""


Command = (
    RegisterCompany | ChangeCompany | SetContact | RemoveContact | ArchiveCompany | RestoreCompany
)


def decide(command: Command, state: Company) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, RegisterCompany):
        return _register(command, state)
    if state.version == 0:
        raise not_found(KIND, command.company)
    command.may_touch(state.fields.branch)
    datas = _datas(command, state)
    if not datas:
        return ()
    command.rests_on(state.version)
    if state.archived and not isinstance(command, RestoreCompany):
        raise Refused("archived", 409, "It is archived.", "restore the company first")
    return [NewEvent(each, command.at, state.fields.branch) for each in datas]


def _register(command: RegisterCompany, state: Company) -> Sequence[NewEvent]:
    if state.version:
        raise Refused("company-exists", 409, "There is a company of this id.")
    command.may_touch(command.fields.branch)
    if command.fields.name is None:
        raise invalid(NEEDED, "is required")
    _check_claim(command, command.fields.tax_id)
    registered = CompanyRegistered(fields=command.fields)
    return (NewEvent(registered, command.at, command.fields.branch),)


def _datas(
    command: ChangeCompany | SetContact | RemoveContact | ArchiveCompany | RestoreCompany,
    state: Company,
) -> Sequence[EventData]:
    if isinstance(command, RemoveContact):
        wanted = {command.customer, *command.others}
        return [CompanyContactRemoved(customer=each) for each in state.contacts if each in wanted]
    data = _data(command, state)
    return () if data is None else (data,)


def _data(
    command: ChangeCompany | SetContact | ArchiveCompany | RestoreCompany, state: Company
) -> EventData | None:
    """What changes; None when things are so already."""
    match command:
        case ChangeCompany():
            return _change(command, state)
        case SetContact(customer=customer, position=position, decides=decides):
            contact = CompanyContactSet(customer=customer, position=position, decides=decides)
            known = state.contacts.get(customer)
            if known is None and len(state.contacts) >= MAX_CONTACTS:
                raise Refused(
                    "too-many", 422, "There are too many of these.", f"at most {MAX_CONTACTS}"
                )
            return None if known == contact else contact
        case ArchiveCompany():
            return None if state.archived else CompanyArchived()
        case RestoreCompany():
            return CompanyRestored() if state.archived else None
        case _:
            assert_never(command)


def _change(command: ChangeCompany, state: Company) -> CompanyChanged | None:
    if command.seen != state.fields.tax_id:
        raise Refused(OUTDATED, 409, "The company has changed in the meantime.")
    if NEEDED in command.cleared:
        raise invalid(NEEDED, "is required")
    changed = {
        name: value
        for name in FIELDS
        if (value := getattr(command.fields, name)) not in (None, getattr(state.fields, name))
    }
    cleared = tuple(
        name for name in FIELDS if name in command.cleared and getattr(state.fields, name)
    )
    if not changed and not cleared:
        return None
    if "branch" in changed:
        command.may_touch(command.fields.branch)
    if "branch" in cleared:
        command.may_touch(None)
    if "tax_id" in changed:
        _check_claim(command, command.fields.tax_id)
    return CompanyChanged(fields=CompanyFields.model_validate(changed), cleared=cleared)


def _check_claim(command: Claiming, tax_id: str | None) -> None:
    if tax_id is None:
        return
    claim = command.claims.get(command.hashed(tax_id))
    if claim is not None and claim.owner not in (None, stream_of(command.company)):
        raise Refused(
            "tax-id-taken",
            409,
            "Another company has this tax id.",
            extra={"owner": claim.owner.removeprefix("company-")},
        )


def evolve(state: Company, data: EventData) -> Company:
    """The company after an event."""
    after = replace(state, version=state.version + 1)
    match data:
        case CompanyRegistered(fields=fields):
            return replace(after, fields=fields)
        case CompanyChanged(fields=fields, cleared=cleared):
            given = fields.model_dump(exclude_none=True) | dict.fromkeys(cleared)
            return replace(after, fields=state.fields.model_copy(update=given))
        case CompanyContactSet(customer=customer):
            return replace(after, contacts={**state.contacts, customer: data})
        case CompanyContactRemoved(customer=customer):
            kept = {name: each for name, each in state.contacts.items() if name != customer}
            return replace(after, contacts=kept)
        case CompanyArchived() | CompanyRestored():
            return replace(after, archived=isinstance(data, CompanyArchived))
        case _:
            message = f"a company has no event {data.type}"
            raise TypeError(message)


COMPANY: Decider[Command, Company] = Decider(Company, decide, evolve)


def _given(command: Command, claims: Mapping[str, Claim]) -> Command:
    return replace(command, claims=claims) if isinstance(command, Claiming) else command


def _changes(command: Command, events: Sequence[NewEvent]) -> Sequence[ClaimChange]:
    """The new tax id is taken, and the one before let go."""
    changes = []
    for event in events:
        if not isinstance(command, Claiming):
            continue
        data = event.data
        if isinstance(data, CompanyRegistered | CompanyChanged):
            taken = data.fields.tax_id
            gone = isinstance(data, CompanyChanged) and "tax_id" in data.cleared
            if command.seen is not None and (taken is not None or gone):
                changes.append(_claimed(command, command.seen, None))
            if taken is not None:
                changes.append(_claimed(command, taken, stream_of(command.company)))
    return changes


def _claimed(command: Claiming, tax_id: str, owner: str | None) -> ClaimChange:
    key = command.hashed(tax_id)
    known = command.claims.get(key)
    return ClaimChange(key, 0 if known is None else known.epoch, owner)


COMPANY_CLAIMS: ClaimPolicy[Command] = ClaimPolicy(
    ids=lambda command: command.claim_ids if isinstance(command, Claiming) else (),
    given=_given,
    changes=_changes,
)
