"""What a row comes to, given who has its identifiers and what is written down of them.

The plan is the decision itself, made without being recorded: a dry run shows what the import would
do because both ask the same decider.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.customer.domain.checking import checked_record
from services.customer.domain.combining import AnyCommand, Combined, decide_any
from services.customer.domain.commands import (
    AddIdentifier,
    ChangeRecord,
    ChangeTags,
    Command,
    GiveConsent,
    NewIdentifier,
    Register,
    WithdrawConsent,
)
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.importing.columns import FileReading
from services.customer.domain.importing.rows import RowConsent, RowInput
from services.customer.domain.state import CUSTOM, Customer
from shared.decider import NewEvent, Refused
from shared.events import care
from shared.events.contract import EventData
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerRegistered,
    Evidence,
    IdentifierAdded,
    RecordFields,
)
from shared.eventstore import Claim

Outcome = Literal["new", "changed", "duplicate"]


@dataclass(frozen=True, slots=True)
class Known:
    """What the store holds about the identifiers of some rows, and about who has them."""

    claims: Mapping[str, Claim]
    states: Mapping[str, Customer]


@dataclass(frozen=True, slots=True)
class Setting:
    """What all rows of a file share; `branches` are those that the importer may touch."""

    reading: FileReading
    configuration: Configuration
    by: str
    at: datetime
    branches: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """What a row would do: to whom, by which command, and the names of what would change."""

    outcome: Outcome
    customer: str
    command: AnyCommand | None
    fields: tuple[str, ...] = ()


def owners(row: RowInput, claims: Mapping[str, Claim]) -> Sequence[str]:
    """The customers whom the row's identifiers find."""
    found = (claims.get(each.claim_id) for each in row.identifiers)
    return list(dict.fromkeys(claim.owner for claim in found if claim is not None and claim.owner))


def plan(row: RowInput, new_id: str, known: Known, setting: Setting) -> Planned:
    """What the row comes to; `new_id` is that of the customer whom it may register.

    Raises `Refused` for a row that cannot be carried out.
    """
    found = owners(row, known.claims)
    if len(found) > 1:
        raise Refused(
            "ambiguous",
            409,
            "The identifiers belong to different customers.",
            f"they belong to {len(found)} customers: merge them first, or split the row",
        )
    if found:
        return _change(row, found[0], known, setting)
    return _register(row, new_id, known, setting)


def _register(row: RowInput, customer: str, known: Known, setting: Setting) -> Planned:
    fields = checked_record(setting.configuration, row.fields, setting.at.date())
    _require_branch(fields.home_branch, setting)
    person = CustomerRegistered.model_validate(
        {name: getattr(fields, name) for name in RecordFields.model_fields}
    )
    tags = (care.TagsChanged(added=tuple(sorted(row.tags))),) if row.tags else ()
    command = Register(
        customer=customer,
        at=setting.at,
        by=setting.by,
        claims=known.claims,
        person=person,
        identifiers=tuple(NewIdentifier(known=each) for each in row.identifiers),
        consents=tuple(_evidence(each, setting) for each in row.consents),
        further=tags,
    )
    events = decide_any(command, Customer())
    return Planned("new", customer, command, _names(events))


def _change(row: RowInput, customer: str, known: Known, setting: Setting) -> Planned:
    state = known.states[customer]
    _require_branch(state.record.home_branch, setting)
    about: dict[str, Any] = {"customer": customer, "at": setting.at, "by": setting.by}
    fields = row.fields if setting.reading.fill == "overwrite" else _gaps(row.fields, state)
    checked = checked_record(
        setting.configuration, fields, setting.at.date(), state.record.custom or {}
    )
    if checked.home_branch is not None:
        _require_branch(checked.home_branch, setting)
    parts: list[Command] = [ChangeRecord(fields=checked, **about)]
    parts += [
        AddIdentifier(identifier=NewIdentifier(known=each), **about)
        for each in row.identifiers
        if each.claim_id not in state.identifiers
    ]
    if row.tags:
        parts.append(ChangeTags(add=row.tags, **about))
    for consent in row.consents:
        if _says_more(consent, state):
            parts.append(_consenting(consent, setting, about))
    command = Combined(parts=tuple(parts), claims=known.claims, **about)
    events = decide_any(command, state)
    if not events:
        return Planned("duplicate", customer, None)
    return Planned("changed", customer, command, _names(events))


def _require_branch(branch: str | None, setting: Setting) -> None:
    if setting.branches is not None and branch not in setting.branches:
        raise Refused(
            "out-of-scope",
            403,
            "This key is for other branches.",
            "the customer is not of a branch of this key",
        )


def _gaps(fields: RecordFields, state: Customer) -> RecordFields:
    """Those of the fields that nothing is written down of."""
    have = state.record
    update: dict[str, Any] = {
        name: None
        for name in RecordFields.model_fields
        if name != "custom" and getattr(have, name) is not None
    }
    custom = {
        name: value
        for name, value in (fields.custom or {}).items()
        if name not in (have.custom or {})
    }
    return fields.model_copy(update={**update, "custom": custom or None})


def _says_more(consent: RowConsent, state: Customer) -> bool:
    """Whether the row's word counts beside what stands.

    The same word again adds nothing. A dated word counts when it is newer. One without a date may
    refuse what was given, and gives only what nobody has refused: an old file must not undo what
    a customer said since.
    """
    standing = state.consents.get((consent.topic, consent.channel, ""))
    if standing is None:
        return True
    if standing.given == consent.given:
        return False
    since = None if standing.evidence is None else standing.evidence.at
    if consent.at is not None and since is not None:
        return consent.at > since
    return not consent.given


def _evidence(consent: RowConsent, setting: Setting) -> ConsentGiven | ConsentWithdrawn:
    kind = ConsentGiven if consent.given else ConsentWithdrawn
    evidence = Evidence(
        source=setting.reading.consent_source,
        wording=consent.wording,
        by=setting.by,
        at=consent.at,
    )
    return kind(topic=consent.topic, channel=consent.channel, evidence=evidence)


def _consenting(consent: RowConsent, setting: Setting, about: dict[str, Any]) -> Command:
    said = _evidence(consent, setting)
    if isinstance(said, ConsentGiven):
        return GiveConsent(consent=said, **about)
    return WithdrawConsent(withdrawn=said, **about)


def _names(events: Sequence[NewEvent]) -> tuple[str, ...]:
    return tuple(sorted({name for event in events for name in names_of(event.data)}))


def names_of(data: EventData) -> Sequence[str]:
    """The names of what an event of a row changes."""
    match data:
        case IdentifierAdded(identifier=identifier):
            return [identifier.kind]
        case ConsentGiven() | ConsentWithdrawn():
            return [f"consent.{data.topic}.{data.channel}"]
        case care.TagsChanged():
            return ["tags"]
        case RecordFields():
            kinds = (
                [each.kind for each in data.identifiers]
                if isinstance(data, CustomerRegistered)
                else []
            )
            return [*changed_fields(data), *kinds]
        case _:
            return []


def changed_fields(data: RecordFields) -> Sequence[str]:
    """The fields that an event of the record sets, custom ones as `custom.<name>`."""
    plain = [
        name
        for name in RecordFields.model_fields
        if name != "custom" and getattr(data, name) is not None
    ]
    return [*plain, *(CUSTOM + name for name in data.custom or {})]
