"""What callers are shown."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field

from services.customer.domain.state import Customer, stream_of
from services.customer.projections.directory import DirectoryEntry
from services.customer.queries.records import Record
from shared.access import Scope
from shared.events.contract import show_moment
from shared.events.customer import (
    Channel,
    ConsentGiven,
    ConsentWithdrawn,
    Evidence,
    IdentifierKind,
    IdentifierState,
    RecordFields,
)
from shared.execute import Done
from shared.http import etag
from shared.masking import masked

SECRET_KINDS = frozenset({"push"})


class Recorded(BaseModel):
    """The answer to a command."""

    id: str
    version: int = Field(description="of the customer's stream; pass it on as `min_version`")
    repeated: bool = Field(description="it was recorded before")


class ContactView(BaseModel):
    """A contact; masked where the caller's branches do not include the customer's."""

    kind: IdentifierKind
    hash: str
    value: str | None


class CustomerView(BaseModel):
    """A customer as the list knows it."""

    id: str
    version: int
    registered_at: str | None = Field(description="absent for one who was erased")
    contacts: list[ContactView]
    consents: list[str] = Field(description="`<topic>|<channel>` of each that is given")
    surname: str | None
    name: str | None
    patronymic: str | None
    birth_date: str | None
    gender: str | None
    home_branch: str | None
    language: str | None
    time_zone: str | None
    acquisition: str | None
    internal: bool
    custom: dict[str, Any]
    blacklisted: bool = Field(description="the till warns; it blocks no sale")
    status: str | None = Field(description="absent: that which the path begins with")
    categories: list[str]
    tags: list[str]


class IdentifierView(BaseModel):
    """An identifier of a record."""

    kind: IdentifierKind
    hash: str
    value: str | None
    state: IdentifierState
    preferred: bool
    shared: bool
    label: str | None


class ConsentView(BaseModel):
    """What counts for a topic, a channel and a contact point (none: any)."""

    topic: str
    channel: Channel
    contact: str | None = Field(description="hash of the contact point")
    given: bool
    evidence: Evidence | None


class ConsentLog(BaseModel):
    """What the customer agrees to, and every word about it, oldest first."""

    current: list[ConsentView] = Field(description="what is not here is not given")
    log: list[ConsentView]


class NoteView(BaseModel):
    """A note, and at whom it was written: this customer, or one that was merged into it."""

    id: str
    customer: str
    text: str | None


class CategoryView(BaseModel):
    """A category and who gave it."""

    category: str
    by: list[str] = Field(description="`person`, or `rule:<name>`")


class BlacklistingView(BaseModel):
    """Why no advertising goes out, and until when (absent: until it is lifted)."""

    reason: str | None
    until: str | None


class LinkView(BaseModel):
    """Another customer who belongs to this one."""

    other: str
    relation: str


class DocumentView(BaseModel):
    """A document, and to whom it was attached; its content is at `documents/{id}`."""

    id: str
    customer: str
    title: str | None
    media_type: str
    size: int = Field(description="bytes")


class RecordView(BaseModel):
    """A customer whole, as of the last command."""

    id: str = Field(description="of the survivor, where the one asked for was merged")
    version: int
    record: RecordFields
    identifiers: list[IdentifierView]
    consents: list[ConsentView] = Field(description="what is not here is not given")
    tags: list[str]
    categories: list[CategoryView]
    discount: int | None = Field(description="hundredths of a percent, the highest granted")
    status: str | None = Field(description="absent: that which the path begins with")
    blacklisting: BlacklistingView | None
    responsible: str | None
    notes: list[NoteView]
    documents: list[DocumentView]
    links: list[LinkView]
    archived: bool
    absorbed: list[str] = Field(description="customers that were merged into this one")


def record_view(found: Record, now: datetime) -> RecordView:
    """A customer whole, with what those have who were merged into it."""
    customer, state = found.id, found.state
    people = {customer: state, **found.others}
    categories: dict[str, list[str]] = {}
    for category, by in sorted(state.categories):
        categories.setdefault(category, []).append(by)
    return RecordView(
        id=customer,
        version=state.version,
        record=state.record,
        identifiers=[
            IdentifierView(
                kind=each.kind,
                hash=each.hash,
                value=shown(each.kind, each.value, clear=True),
                state=each.state or "unverified",
                preferred=bool(each.preferred),
                shared=bool(each.shared),
                label=each.label,
            )
            for each in state.identifiers.values()
        ],
        consents=_standing(state),
        tags=sorted(state.tags),
        categories=[CategoryView(category=name, by=by) for name, by in categories.items()],
        discount=max(state.discounts.values(), default=None),
        status=state.status,
        blacklisting=_blacklisting(state, now),
        responsible=state.responsible,
        notes=[
            NoteView(id=name, customer=who, text=text)
            for who, each in people.items()
            for name, text in each.notes.items()
        ],
        documents=[
            DocumentView(
                id=name,
                customer=who,
                title=document.title,
                media_type=document.media_type,
                size=document.size,
            )
            for who, each in people.items()
            for name, document in each.documents.items()
        ],
        links=[LinkView(other=each, relation=why) for each, why in sorted(state.links)],
        archived=state.archived,
        absorbed=[each.data.other for each in state.absorbed],
    )


def _standing(state: Customer) -> list[ConsentView]:
    return [
        ConsentView(
            topic=topic,
            channel=channel,
            contact=contact or None,
            given=standing.given,
            evidence=standing.evidence,
        )
        for (topic, channel, contact), standing in sorted(
            state.consents.items(), key=lambda item: item[0]
        )
    ]


def _blacklisting(state: Customer, now: datetime) -> BlacklistingView | None:
    listed = state.blacklist
    if listed is None or (listed.until is not None and listed.until <= now):
        return None
    until = None if listed.until is None else show_moment(listed.until)
    return BlacklistingView(reason=listed.reason, until=until)


def consent_log(state: Customer, log: Sequence[ConsentGiven | ConsentWithdrawn]) -> ConsentLog:
    """What the customer agrees to, and every word about it."""
    return ConsentLog(
        current=_standing(state),
        log=[
            ConsentView(
                topic=each.topic,
                channel=each.channel,
                contact=each.contact,
                given=isinstance(each, ConsentGiven),
                evidence=each.evidence,
            )
            for each in log
        ],
    )


def recorded(customer: str, done: Done, response: Response) -> Recorded:
    """The answer to a command, and its version as the entity tag."""
    response.headers["ETag"] = etag(done.version)
    return Recorded(id=customer, version=done.version, repeated=done.repeated)


def view_of(entry: DirectoryEntry, narrow: Scope) -> CustomerView:
    """A customer for the caller: contacts of a customer outside the scope are masked."""
    clear = narrow.everything or any(narrow.allows(each) for each in entry.branches)
    return CustomerView(
        id=entry.id,
        version=entry.versions.get(stream_of(entry.id), 0),
        registered_at=None if entry.registered_at is None else show_moment(entry.registered_at),
        contacts=[
            ContactView(
                kind=contact.kind,
                hash=contact.hash,
                value=shown(contact.kind, contact.value, clear=clear),
            )
            for contact in entry.contacts
        ],
        consents=entry.consents,
        surname=entry.surname,
        name=entry.name,
        patronymic=entry.patronymic,
        birth_date=entry.birth_date if clear else None,
        gender=entry.gender,
        home_branch=entry.home_branch,
        language=entry.language,
        time_zone=entry.time_zone,
        acquisition=entry.acquisition,
        internal=entry.internal,
        custom=entry.custom if clear else {},
        blacklisted=entry.blacklisted,
        status=entry.status,
        categories=sorted({each.category for each in entry.categories}),
        tags=entry.tags if clear else [],
    )


def masked_view(entry: DirectoryEntry, narrow: Scope) -> CustomerView:
    """The same with every contact masked, as lists show it."""
    shown = view_of(entry, narrow)
    hidden = [
        each.model_copy(update={"value": masked(contact.value)})
        for each, contact in zip(shown.contacts, entry.contacts, strict=True)
    ]
    return shown.model_copy(update={"contacts": hidden})


def shown(kind: str, value: str | None, *, clear: bool) -> str | None:
    """A contact; what a device gave out is a key to it, and of no use to a person."""
    return value if clear and kind not in SECRET_KINDS else masked(value)
