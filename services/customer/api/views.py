"""What callers are shown."""

from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field

from services.customer.domain.customer import stream_of
from services.customer.projections.directory import DirectoryEntry
from shared.access import Scope
from shared.events.contract import show_moment
from shared.events.customer import IdentifierKind
from shared.execute import Done
from shared.http import etag

SHOWN_FROM = 6
"""Shorter values would be all but shown by two of their characters."""


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


class CustomerCount(BaseModel):
    """How many."""

    count: int


class CustomerView(BaseModel):
    """A customer as the list knows it."""

    id: str
    version: int
    registered_at: str
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


def recorded(customer: str, done: Done, response: Response) -> Recorded:
    """The answer to a command, and its version as the entity tag."""
    response.headers["ETag"] = etag(done.version)
    return Recorded(id=customer, version=done.version, repeated=done.repeated)


def view_of(entry: DirectoryEntry, narrow: Scope) -> CustomerView:
    """A customer for the caller: contacts of a customer outside the scope are masked."""
    clear = narrow.allows(entry.home_branch)
    return CustomerView(
        id=entry.id,
        version=entry.versions.get(stream_of(entry.id), 0),
        registered_at=show_moment(entry.registered_at),
        contacts=[
            ContactView(
                kind=contact.kind,
                hash=contact.hash,
                value=contact.value if clear else _masked(contact.value),
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
    )


def _masked(value: str | None) -> str | None:
    """Its last two characters, where that is a small part of it."""
    if value is None:
        return None
    return "•••" + (value[-2:] if len(value) >= SHOWN_FROM else "")
