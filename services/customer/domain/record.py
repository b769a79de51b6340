"""What is written down of a customer, and what the customer agreed to."""

from collections.abc import Iterator, Sequence

from services.customer.domain.commands import (
    ChangeRecord,
    ConfirmFields,
    GiveConsent,
    Register,
    WithdrawConsent,
)
from services.customer.domain.identifying import claimed
from services.customer.domain.state import CUSTOM, Customer
from shared.decider import NewEvent, Refused
from shared.events.care import FieldsConfirmed
from shared.events.customer import (
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    RecordFields,
)


def register(command: Register, state: Customer) -> Sequence[NewEvent]:
    """A customer who was not known."""
    if state.registered:
        raise Refused("already-registered", 409, "The customer is registered already.")
    identifiers = claimed(command.claims, command.customer, command.identifiers)
    registered = command.person.model_copy(update={"identifiers": identifiers})
    branch = registered.home_branch
    return [
        NewEvent(data, command.at, branch)
        for data in (registered, *command.consents, *command.further)
    ]


def change(command: ChangeRecord, state: Customer) -> Sequence[NewEvent]:
    """What differs from what is written down; nothing when all of it is so already."""
    have = state.record
    update: dict[str, object] = {
        name: value
        for name in RecordFields.model_fields
        if name != "custom"
        and (value := getattr(command.fields, name)) is not None
        and value != getattr(have, name)
    }
    known = have.custom or {}
    custom = {
        name: value
        for name, value in (command.fields.custom or {}).items()
        if known.get(name) != value or type(known.get(name)) is not type(value)
    }
    if custom:
        update["custom"] = custom
    cleared = tuple(_cleared(command.cleared, have))
    if cleared:
        update["cleared"] = cleared
    if not update:
        return []
    changed = CustomerChanged.model_validate(update)
    return [NewEvent(changed, command.at, changed.home_branch or have.home_branch)]


def _cleared(names: Sequence[str], have: RecordFields) -> Iterator[str]:
    """Those of the names that have a value."""
    for name in sorted(set(names)):
        if name.startswith(CUSTOM):
            if name.removeprefix(CUSTOM) in (have.custom or {}):
                yield name
        elif getattr(have, name) is not None:
            yield name


def give_consent(command: GiveConsent, state: Customer) -> Sequence[NewEvent]:
    """Evidence of a consent; each piece is kept, also where the consent stands already."""
    consent = command.consent
    if consent.contact is not None and all(
        each.hash != consent.contact for each in state.identifiers.values()
    ):
        raise Refused(
            "unknown-contact",
            422,
            "The customer has no such contact point.",
            "bind a consent to a contact point that the customer has",
        )
    _require_newest(consent, state)
    return [NewEvent(consent, command.at, state.record.home_branch)]


def withdraw_consent(command: WithdrawConsent, state: Customer) -> Sequence[NewEvent]:
    """Evidence of a withdrawal: unknown counts as not given, and it is evidence all the same.

    One that comes late ends all consents of its topic and channel, but for those that are younger:
    they are said again after it.
    """
    _require_newest(command.withdrawn, state)
    words = (command.withdrawn, *_younger(command.withdrawn, state))
    return [NewEvent(word, command.at, state.record.home_branch) for word in words]


def _younger(word: ConsentWithdrawn, state: Customer) -> Iterator[ConsentGiven]:
    """What a withdrawal without a contact point would end, and was given after it was said."""
    said = word.evidence.at
    if word.contact is not None or said is None:
        return
    for (topic, channel, contact), standing in state.consents.items():
        evidence = standing.evidence
        about_it = (topic, channel) == (word.topic, word.channel) and standing.given
        if about_it and evidence is not None and evidence.at is not None and evidence.at > said:
            yield ConsentGiven(
                topic=topic, channel=word.channel, contact=contact or None, evidence=evidence
            )


def _require_newest(evidence: ConsentGiven | ConsentWithdrawn, state: Customer) -> None:
    """The log of evidence is in the order of time: what came before does not undo what stands."""
    at = evidence.evidence.at
    standing = state.consents.get((evidence.topic, evidence.channel, evidence.contact or ""))
    if at is None or standing is None or standing.evidence is None or standing.evidence.at is None:
        return
    if at < standing.evidence.at:
        raise Refused(
            "consent-superseded",
            409,
            "Newer evidence stands already.",
            "what the customer said later counts; older evidence does not undo it",
        )


def confirm(command: ConfirmFields, state: Customer) -> Sequence[NewEvent]:
    """Fields are as they should be."""
    confirmed = FieldsConfirmed(fields=command.fields, by=command.by)
    return [NewEvent(confirmed, command.at, state.record.home_branch)]
