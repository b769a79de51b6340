"""The companies: found by the beginning of their name, by tax id, or by who speaks for them."""

from typing import Any

import msgspec

from services.customer.domain.writing_forms import folded
from shared.events.company import (
    CompanyArchived,
    CompanyChanged,
    CompanyContactRemoved,
    CompanyContactSet,
    CompanyRegistered,
    CompanyRestored,
)
from shared.projection import Document, Event, Projection

WHOLE_CHAIN = ""
"""The branch of companies of the whole chain: stored, so that queries can look for it."""
LIVING, ARCHIVED = "0", "1"
"""Where a company stands; the first character of its sort key."""
PREFIX = "company-"


class Contact(msgspec.Struct, gc=False, omit_defaults=True):
    """A customer who speaks for the company."""

    customer: str
    position: str | None = None
    decides: bool = False


class CompanyDocument(Document, kw_only=True, omit_defaults=True):
    """One company.

    `sort` is `<shelf><name, folded>|<id>`, unique, so that a page can go on from it; `branch` is
    `""` for a company of the whole chain.
    """

    name: str
    sort: str
    branch: str
    tax_id: str | None = None
    company_type: str | None = None
    industry: str | None = None
    size: str | None = None
    contacts: list[Contact] = msgspec.field(default_factory=list)
    archived: bool = False


class Fields(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What is written down of a company."""

    name: str | None = None
    tax_id: str | None = None
    company_type: str | None = None
    industry: str | None = None
    size: str | None = None
    branch: str | None = None


NO_FIELDS = Fields()


class Registered(msgspec.Struct):
    """What is read of `company.registered`."""

    fields: Fields


class Changed(msgspec.Struct):
    """What is read of `company.changed`."""

    fields: Fields = NO_FIELDS
    cleared: list[str] = msgspec.field(default_factory=list)


class ContactRemoved(msgspec.Struct):
    """What is read of `company.contact_removed`."""

    customer: str


class Nothing(msgspec.Struct):
    """The type of the event says it all."""


def _target(event: Event) -> str | None:
    kind, _, company = event.light.stream.partition("-")
    return company if kind == PREFIX.removesuffix("-") else None


def name_key(name: str) -> str:
    """A name as it is looked for: small letters, no accents, blanks in one."""
    return " ".join(folded(name).split())


def apply(company: CompanyDocument | None, event: Event) -> CompanyDocument:
    """The company after an event."""
    data = event.data
    if isinstance(data, Registered):
        name = data.fields.name or ""
        made = CompanyDocument(id=_target(event) or "", name=name, sort="", branch=WHOLE_CHAIN)
        return _with(made, msgspec.to_builtins(data.fields))
    if company is None:
        message = "the first event of a company is its registration"
        raise ValueError(message)
    match data:
        case Changed(fields=fields, cleared=cleared):
            return _with(company, {**msgspec.to_builtins(fields), **dict.fromkeys(cleared)})
        case Contact(customer=customer):
            company.contacts = [*_others(company, customer), data]
        case ContactRemoved(customer=customer):
            company.contacts = _others(company, customer)
        case _:
            company.archived = event.type == CompanyArchived.type
            return _with(company, {})
    return company


def _with(company: CompanyDocument, given: dict[str, Any]) -> CompanyDocument:
    """The company with fields given other values; None takes one away."""
    for name, value in given.items():
        setattr(company, name, WHOLE_CHAIN if name == "branch" and value is None else value)
    shelf = ARCHIVED if company.archived else LIVING
    company.sort = f"{shelf}{name_key(company.name)}|{company.id}"
    return company


def _others(company: CompanyDocument, customer: str) -> list[Contact]:
    return [each for each in company.contacts if each.customer != customer]


COMPANIES: Projection[CompanyDocument] = Projection(
    name="companies_v1",
    topics=("customer.events.v1",),
    reads={
        CompanyRegistered.type: Registered,
        CompanyChanged.type: Changed,
        CompanyContactSet.type: Contact,
        CompanyContactRemoved.type: ContactRemoved,
        CompanyArchived.type: Nothing,
        CompanyRestored.type: Nothing,
    },
    document=CompanyDocument,
    target=_target,
    apply=apply,
    gapless=True,
    indexes=((("sort", 1),), (("tax_id", 1),), (("contacts.customer", 1),)),
)
