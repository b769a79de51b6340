"""What callers are shown of the configuration."""

from typing import Generic, TypeVar

from fastapi import Response
from pydantic import BaseModel, Field

from services.customer.domain.configuration.catalogue import Catalogue
from shared.decider import not_found
from shared.events.automation import RegistrationDefined
from shared.events.configuration import StatusPathDefined, UpdateRule
from shared.events.contract import EventData
from shared.execute import Done
from shared.http import etag

DefinitionT = TypeVar("DefinitionT", bound=EventData)


class ItemView(BaseModel, Generic[DefinitionT]):
    """A definition; `version` is its ETag."""

    name: str
    version: int
    archived: bool
    definition: DefinitionT


class ItemList(BaseModel, Generic[DefinitionT]):
    """All of a kind by name, archived ones too."""

    number: int = Field(description="of the configuration; grows with every change of any kind")
    items: list[ItemView[DefinitionT]]


class PathView(BaseModel):
    """The path of statuses; `version` is its ETag."""

    version: int
    path: StatusPathDefined


class RegistrationView(BaseModel):
    """What makes somebody unknown a customer; `version` is its ETag."""

    version: int
    registration: RegistrationDefined | None = Field(description="null: nothing was decided yet")


class RuleView(BaseModel):
    """The update rule of an attribute of every record; `version` is its ETag."""

    attribute: str
    version: int
    rule: UpdateRule


class RuleList(BaseModel):
    """All update rules of the record's own attributes; those of custom fields are in the fields."""

    items: list[RuleView]


class Configured(BaseModel):
    """The answer to a change."""

    name: str
    version: int = Field(description="of the item: its ETag; 0 once it is gone")
    repeated: bool = Field(description="it was recorded before")


def views_of(catalogue: Catalogue[DefinitionT]) -> list[ItemView[DefinitionT]]:
    """All items by name."""
    return [
        ItemView(
            name=name, version=item.version, archived=item.archived, definition=item.definition
        )
        for name, item in sorted(catalogue.items.items())
    ]


def view_of(
    catalogue: Catalogue[DefinitionT], kind: str, name: str, response: Response
) -> ItemView[DefinitionT]:
    """One item, and its version as the entity tag. Raises `Refused` (404)."""
    item = catalogue.items.get(name)
    if item is None:
        raise not_found(kind, name)
    response.headers["ETag"] = etag(item.version)
    return ItemView(
        name=name, version=item.version, archived=item.archived, definition=item.definition
    )


def configured(name: str, version: int, done: Done, response: Response) -> Configured:
    """The answer to a change, and the item's version as the entity tag."""
    response.headers["ETag"] = etag(version)
    return Configured(name=name, version=version, repeated=done.repeated)
