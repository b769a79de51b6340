"""A customer as decisions see one: the fold of its stream.

Personal values are in the clear, except where a decision copies them to another customer: there
they stay the tokens that the log holds (see `Writer.histories(sealed=True)`), and nothing here
looks into them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from services.customer.domain.absorbing import (
    Absorption,
    ConsentKey,
    Standing,
    by_claim,
    with_states,
)
from shared.events import care, merging
from shared.events.contract import EventData
from shared.events.customer import (
    Channel,
    ConsentGiven,
    ConsentWithdrawn,
    CustomerChanged,
    CustomerRegistered,
    Identifier,
    IdentifierAdded,
    IdentifierChanged,
    IdentifierRemoved,
    RecordFields,
)
from shared.identifiers import claim_id

CUSTOM = "custom."
STATUS, RESPONSIBLE, BLACKLIST = "status", "responsible", "blacklist"
_CARE = frozenset({STATUS, RESPONSIBLE, BLACKLIST})


@dataclass(frozen=True, slots=True)
class Customer:
    """What decisions need to know; `version` is that of the stream."""

    version: int = 0
    registered: bool = False
    record: RecordFields = field(default_factory=RecordFields)
    identifiers: Mapping[str, Identifier] = field(default_factory=dict)
    consents: Mapping[ConsentKey, Standing] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    categories: frozenset[tuple[str, str]] = frozenset()
    discounts: Mapping[str, int] = field(default_factory=dict)
    status: str | None = None
    blacklist: care.CustomerBlacklisted | None = None
    responsible: str | None = None
    notes: Mapping[str, str | None] = field(default_factory=dict)
    documents: Mapping[str, care.DocumentAttached] = field(default_factory=dict)
    links: frozenset[tuple[str, str]] = frozenset()
    archived: bool = False
    merged: merging.CustomerMerged | None = None
    absorbed: tuple[Absorption, ...] = ()
    erased: bool = False
    dismissed: frozenset[str] = frozenset()

    @property
    def relatives(self) -> Sequence[str]:
        """Those that the customer is merged with, one step away."""
        others = [each.data.other for each in self.absorbed]
        return others if self.merged is None else [*others, self.merged.survivor]

    def consent_at(self, topic: str, channel: Channel, contact: str) -> Standing | None:
        """What counts for the contact point: its own standing, else that for any."""
        own = self.consents.get((topic, channel, contact))
        return own or self.consents.get((topic, channel, ""))


def stream_of(customer: str) -> str:
    """The stream of a customer."""
    return f"customer-{customer}"


def evolve(state: Customer, data: EventData) -> Customer:
    """The customer after an event."""
    state = replace(state, version=state.version + 1)
    match data:
        case CustomerRegistered():
            return replace(
                state,
                registered=True,
                record=_fields_of(data),
                identifiers=by_claim(data.identifiers),
            )
        case CustomerChanged():
            return replace(state, record=_changed(state.record, data, data.cleared or ()))
        case IdentifierAdded() | IdentifierChanged() | IdentifierRemoved():
            return _with_identifier(state, data)
        case ConsentGiven() | ConsentWithdrawn():
            return replace(state, consents=_consents(state.consents, data))
        case (
            merging.CustomerMerged()
            | merging.CustomerAbsorbed()
            | merging.MergeReverted()
            | merging.CustomerErased()
        ):
            return _merging(state, data)
        case _:
            return _care(state, data)


def _care(state: Customer, data: EventData) -> Customer:
    match data:
        case care.CategoriesChanged(given=given, withdrawn=withdrawn):
            categories = state.categories | _grants(given)
            return replace(state, categories=categories - _grants(withdrawn))
        case care.TagsChanged(added=added, removed=removed):
            return replace(state, tags=(state.tags | set(added)) - set(removed))
        case care.DiscountChanged(by=by, discount=discount):
            others = {giver: each for giver, each in state.discounts.items() if giver != by}
            return replace(
                state, discounts=others if discount is None else {**others, by: discount}
            )
        case care.StatusChanged(status=status):
            return replace(state, status=status)
        case care.ResponsibleAssigned(employee=employee):
            return replace(state, responsible=employee)
        case care.CustomerBlacklisted():
            return replace(state, blacklist=data)
        case care.BlacklistingEnded():
            return replace(state, blacklist=None)
        case care.CustomerArchived() | care.CustomerRestored():
            return replace(state, archived=isinstance(data, care.CustomerArchived))
        case _:
            return _attachments(state, data)


def _attachments(state: Customer, data: EventData) -> Customer:
    match data:
        case care.NoteAdded(note=note, text=text):
            return replace(state, notes={**state.notes, note: text})
        case care.NoteRemoved(note=note):
            return replace(state, notes=_without(state.notes, note))
        case care.DocumentAttached(document=document):
            return replace(state, documents={**state.documents, document: data})
        case care.DocumentRemoved(document=document):
            return replace(state, documents=_without(state.documents, document))
        case care.CustomersLinked(other=other, relation=relation):
            return replace(state, links=state.links | {(other, relation)})
        case care.CustomersUnlinked(other=other, relation=relation):
            return replace(state, links=state.links - {(other, relation)})
        case merging.DuplicateDismissed(other=other):
            return replace(state, dismissed=state.dismissed | {other})
        case care.FieldsConfirmed() | care.TaskRequested() | care.MessageRequested():
            return state
        case _:
            message = f"a customer has no event {data.type}"
            raise TypeError(message)


def _merging(
    state: Customer,
    data: merging.CustomerMerged
    | merging.CustomerAbsorbed
    | merging.MergeReverted
    | merging.CustomerErased,
) -> Customer:
    match data:
        case merging.CustomerMerged():
            return replace(state, merged=data)
        case merging.CustomerAbsorbed():
            return _absorbing(state, data)
        case merging.MergeReverted(role="loser"):
            return _returned(state, data)
        case merging.MergeReverted():
            return _giving_back(state, data)
        case merging.CustomerErased():
            return Customer(
                version=state.version,
                registered=state.registered,
                merged=state.merged,
                absorbed=tuple(
                    Absorption(
                        merging.CustomerAbsorbed(merge=each.data.merge, other=each.data.other)
                    )
                    for each in state.absorbed
                ),
                erased=True,
            )


def _absorbing(state: Customer, data: merging.CustomerAbsorbed) -> Customer:
    brought = by_claim(data.identifiers)
    consents = with_states(state.consents, data.consents)
    absorption = Absorption(
        data,
        epochs={key: each.epoch for key, each in brought.items()},
        replaced={key: each for key, each in state.identifiers.items() if key in brought},
        consents_before=state.consents,
        consents_after=consents,
    )
    blacklist = data.blacklist and care.CustomerBlacklisted(
        reason=data.blacklist.reason, until=data.blacklist.until
    )
    return replace(
        state,
        absorbed=(*state.absorbed, absorption),
        identifiers={**state.identifiers, **brought},
        consents=consents,
        record=_changed(state.record, data.fields, ()),
        tags=state.tags | set(data.tags),
        categories=state.categories | _grants(data.categories),
        discounts={**state.discounts, **{each.by: each.discount for each in data.discounts}},
        status=data.status or state.status,
        responsible=data.responsible or state.responsible,
        blacklist=blacklist or state.blacklist,
    )


def _returned(state: Customer, data: merging.MergeReverted) -> Customer:
    """A loser again by itself; what it had absorbed before has the new epochs too."""
    back = by_claim(data.identifiers)

    def renewed(epochs: Mapping[str, int]) -> Mapping[str, int]:
        return {
            key: back[key].epoch
            for key, epoch in epochs.items()
            if key in back and key in state.identifiers and state.identifiers[key].epoch == epoch
        }

    return replace(
        state,
        merged=None,
        absorbed=tuple(replace(each, epochs=renewed(each.epochs)) for each in state.absorbed),
        identifiers=back,
        consents=with_states(state.consents, data.consents),
    )


def _giving_back(state: Customer, data: merging.MergeReverted) -> Customer:
    gone = {claim_id(each.kind, each.hash) for each in data.released}
    kept = {key: each for key, each in state.identifiers.items() if key not in gone}
    return replace(
        state,
        absorbed=tuple(each for each in state.absorbed if each.data.merge != data.merge),
        identifiers={**kept, **by_claim(data.identifiers)},
        consents=with_states(state.consents, data.consents),
        record=_changed(
            state.record, RecordFields(), [each for each in data.cleared if each not in _CARE]
        ),
        tags=state.tags - set(data.tags_removed),
        categories=state.categories - _grants(data.categories_withdrawn),
        discounts={
            by: each for by, each in state.discounts.items() if by not in data.discounts_withdrawn
        },
        status=None if STATUS in data.cleared else state.status,
        responsible=None if RESPONSIBLE in data.cleared else state.responsible,
        blacklist=None if BLACKLIST in data.cleared else state.blacklist,
    )


def _with_identifier(
    state: Customer, data: IdentifierAdded | IdentifierChanged | IdentifierRemoved
) -> Customer:
    state = replace(state, identifiers=_identifiers(state.identifiers, data))
    if not (isinstance(data, IdentifierRemoved) and state.absorbed):
        return state
    # What was removed does not go back by a revert, also when it is added again meanwhile.
    gone = claim_id(data.kind, data.hash)
    return replace(
        state,
        absorbed=tuple(
            replace(each, epochs=_without(each.epochs, gone)) for each in state.absorbed
        ),
    )


def _fields_of(data: RecordFields) -> RecordFields:
    names = RecordFields.model_fields
    return RecordFields(**{name: getattr(data, name) for name in names})


def _changed(record: RecordFields, change: RecordFields, cleared: Iterable[str]) -> RecordFields:
    """The record with the fields that the change has, and without the cleared ones."""
    update = {
        name: value
        for name in RecordFields.model_fields
        if name != "custom" and (value := getattr(change, name)) is not None
    }
    custom = dict(record.custom or {}) | dict(change.custom or {})
    for name in cleared:
        if name.startswith(CUSTOM):
            custom.pop(name.removeprefix(CUSTOM), None)
        else:
            update[name] = None
    return record.model_copy(update={**update, "custom": custom or None})


def _identifiers(
    have: Mapping[str, Identifier], data: IdentifierAdded | IdentifierChanged | IdentifierRemoved
) -> Mapping[str, Identifier]:
    match data:
        case IdentifierAdded(identifier=added):
            kept = _preferring(have, added.kind) if added.preferred else dict(have)
            return {**kept, claim_id(added.kind, added.hash): added}
        case IdentifierRemoved():
            return _without(have, claim_id(data.kind, data.hash))
        case IdentifierChanged():
            key = claim_id(data.kind, data.hash)
            known = have.get(key)
            if known is None:
                return have
            kept = _preferring(have, data.kind) if data.preferred else dict(have)
            update = {
                name: value
                for name in ("state", "preferred", "label")
                if (value := getattr(data, name)) is not None
            }
            return {**kept, key: known.model_copy(update=update)}


def _preferring(have: Mapping[str, Identifier], kind: str) -> dict[str, Identifier]:
    """None of the kind preferred any more."""
    return {
        key: each.model_copy(update={"preferred": None}) if each.kind == kind else each
        for key, each in have.items()
    }


def _consents(
    have: Mapping[ConsentKey, Standing], data: ConsentGiven | ConsentWithdrawn
) -> Mapping[ConsentKey, Standing]:
    given = isinstance(data, ConsentGiven)
    standing = Standing(given, data.evidence)
    changed: dict[ConsentKey, Standing] = {(data.topic, data.channel, data.contact or ""): standing}
    if not given and data.contact is None:
        changed |= {key: standing for key in have if key[:2] == (data.topic, data.channel)}
    return {**have, **changed}


ValueT = TypeVar("ValueT")


def _without(have: Mapping[str, ValueT], gone: str) -> dict[str, ValueT]:
    return {key: each for key, each in have.items() if key != gone}


def _grants(grants: Iterable[care.Grant]) -> frozenset[tuple[str, str]]:
    return frozenset((each.category, each.by) for each in grants)
