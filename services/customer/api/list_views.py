"""What the list shows: the chosen columns of each customer."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from services.customer.api.computed import totals_of
from services.customer.api.views import ContactView, shown
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.state import stream_of
from services.customer.projections.directory import DirectoryEntry
from services.customer.queries.walking import COUNTED
from shared.access import Scope
from shared.decider import invalid
from shared.events.contract import show_moment

CUSTOM = "custom."


class ListItem(BaseModel):
    """A customer of the list."""

    id: str
    version: int
    clear: bool = Field(description="the contacts are not masked")
    columns: dict[str, Any] = Field(description="column → its value; null where there is none")


class CustomerPage(BaseModel):
    """A page of the list."""

    items: list[ListItem]
    next_cursor: str | None = None


class QuickResult(BaseModel):
    """Whom a search found."""

    items: list[ListItem]
    more: bool = Field(description="there are others: type more")


class ListCount(BaseModel):
    """How many there are."""

    count: int = Field(description="exact up to 10,000")
    exact: bool
    shown: str = Field(description="for people: `10,000+` beyond that")


class AccessView(BaseModel):
    """One answer with contacts in the clear."""

    id: str
    at: str
    by: str = Field(description="id of the principal")
    way: str
    customers: list[str]


def count_view(count: int) -> ListCount:
    """The count, as far as it was counted."""
    exact = count <= COUNTED
    shown = f"{count:,}" if exact else f"{COUNTED:,}+"
    return ListCount(count=min(count, COUNTED), exact=exact, shown=shown)


def effective_discount(entry: DirectoryEntry, now: Configuration) -> int | None:
    """The highest discount of all givers and of the categories as they are defined now."""
    granted = list(entry.discounts.values())
    for name in {each.category for each in entry.categories}:
        category = now.categories.get(name)
        if category is not None and category.discount:
            granted.append(category.discount)
    return max(granted, default=None)


def require_columns(columns: Sequence[str], now: Configuration) -> None:
    """Raise `Refused` that names the first column that the list has not."""
    for index, column in enumerate(columns):
        known = column in SHOWN or column in {"contacts", "discount"}
        if column.startswith(CUSTOM):
            known = now.fields.get(column.removeprefix(CUSTOM)) is not None
        if not known:
            raise invalid(f"columns.{index}", "the list has no such column")


def in_sight(entry: DirectoryEntry, narrow: Scope) -> bool:
    """Whether the caller may see the customer whole: home or a receipt in the own branches."""
    return narrow.everything or any(narrow.allows(branch) for branch in entry.branches)


def list_item(
    entry: DirectoryEntry, columns: Sequence[str], now: Configuration, *, whole: bool, clear: bool
) -> ListItem:
    """The columns of a customer.

    `whole`: everything but contacts is shown as it is, else only the name is; `clear`: contacts
    are not masked.
    """
    values: dict[str, Any] = {}
    computed = now.fields.computed(totals_of(entry))
    for column in columns:
        if column == "contacts":
            values[column] = [_contact(each, clear=clear) for each in _ordered(entry)]
        elif not (whole or column == "name"):
            values[column] = None
        elif column == "discount":
            values[column] = effective_discount(entry, now)
        elif column.startswith(CUSTOM):
            name = column.removeprefix(CUSTOM)
            values[column] = computed[name] if name in computed else entry.custom.get(name)
        else:
            values[column] = SHOWN[column](entry)
    version = entry.versions.get(stream_of(entry.id), 0)
    return ListItem(id=entry.id, version=version, clear=clear, columns=values)


def _ordered(entry: DirectoryEntry) -> list[Any]:
    """Those that are preferred first."""
    return sorted(entry.contacts, key=lambda each: not each.preferred)


def _contact(contact: Any, *, clear: bool) -> dict[str, Any]:  # noqa: ANN401 - a contact of an entry
    value = shown(contact.kind, contact.value, clear=clear)
    return ContactView(kind=contact.kind, hash=contact.hash, value=value).model_dump()


def _moment(value: datetime | None) -> str | None:
    return None if value is None else show_moment(value)


def _name(entry: DirectoryEntry) -> str:
    return " ".join(part for part in (entry.surname, entry.name, entry.patronymic) if part)


SHOWN: Mapping[str, Callable[[DirectoryEntry], Any]] = {
    "name": _name,
    "spent": lambda entry: entry.spent,
    "granted_discount": lambda entry: max(entry.discounts.values(), default=None),
    "visits": lambda entry: entry.visits,
    "first_visit": lambda entry: _moment(entry.first_visit),
    "last_visit": lambda entry: _moment(entry.last_visit),
    "average": lambda entry: entry.average,
    "status": lambda entry: entry.status,
    "tags": lambda entry: entry.tags,
    "categories": lambda entry: sorted({each.category for each in entry.categories}),
    "segments": lambda entry: entry.segments,
    "responsible": lambda entry: entry.responsible,
    "home_branch": lambda entry: entry.home_branch,
    "branches": lambda entry: entry.branches,
    "city": lambda entry: entry.city,
    "region": lambda entry: entry.region,
    "birthday": lambda entry: entry.birth_date,
    "gender": lambda entry: entry.gender,
    "language": lambda entry: entry.language,
    "acquisition": lambda entry: entry.acquisition,
    "customer_type": lambda entry: entry.customer_type,
    "consents": lambda entry: entry.consents,
    "registered_at": lambda entry: _moment(entry.registered_at),
    "blacklisted": lambda entry: entry.blacklisted,
    "internal": lambda entry: entry.internal,
}
"""Columns and what they show; `birthday` is the whole date."""
