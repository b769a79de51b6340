"""Events of static lists: what there is, and who was put on one or taken off, each with its cause.

Who is on a list is told per customer, in one stream: what a merge brings to the survivor, takes
from the other one and gives back in a revert is told as entering and leaving like all else, so that
a reader folds each customer without knowing any other.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, Part, open_list


class ListCreated(EventData):
    """There is a list of customers, with nobody on it yet."""

    type: ClassVar[str] = "list.created.v1"
    list: str
    title: str
    by: str | None = Field(default=None, description="id of the principal")


class ListRenamed(EventData):
    """The list has another title."""

    type: ClassVar[str] = "list.renamed.v1"
    list: str
    title: str
    by: str | None = Field(default=None, description="id of the principal")


class ListArchived(EventData):
    """Nobody is put on the list any more, or taken off by hand; its history stays."""

    type: ClassVar[str] = "list.archived.v1"
    list: str
    by: str | None = Field(default=None, description="id of the principal")


ListCauseKind = Literal["hand", "filter", "file", "merge", "erase"]


class ListCause(Part):
    """Why somebody is on a list or no longer.

    `hand`: somebody said so; `filter`, `file`: the job named did; `merge`: the customer became
    another one, or itself again; `erase`: the customer is nobody any more.
    """

    kind: Annotated[ListCauseKind, open_list("what kind of thing caused it")]
    by: str | None = Field(default=None, description="id of the principal")
    job: str | None = Field(default=None, description="id of the job")
    merge: str | None = Field(default=None, description="id of the merge")
    event: str | None = Field(default=None, description="id of the causing event")


class ListEntered(EventData):
    """The customer is on the list from `time` on."""

    type: ClassVar[str] = "list.entered.v1"
    list: str
    cause: ListCause


class ListLeft(EventData):
    """The customer is on the list no longer from `time` on."""

    type: ClassVar[str] = "list.left.v1"
    list: str
    cause: ListCause


class ListsHandedOver(EventData):
    """The customer is another one: lists are a matter of the survivor until they part."""

    type: ClassVar[str] = "list.handed_over.v1"
    merge: str
    survivor: str


class ListsReceived(EventData):
    """What a merge brings was received: it is entered beside this, where it was not here yet."""

    type: ClassVar[str] = "list.received.v1"
    merge: str
    also: tuple[str, ...] | None = Field(
        default=None, description="lists that it brings too, and an earlier merge has brought"
    )


class ListsGivenBack(EventData):
    """A merge is reverted that brought lists which stay, since another merge brought them too."""

    type: ClassVar[str] = "list.given_back.v1"
    merge: str
    lists: tuple[str, ...]


class ListsTakenBack(EventData):
    """The customer is itself again, and on lists by itself."""

    type: ClassVar[str] = "list.taken_back.v1"
    merge: str


class ListsClosed(EventData):
    """The customer is nobody: no list is any matter of theirs, for good."""

    type: ClassVar[str] = "list.closed.v1"
    erase: str = Field(description="id of the erase")


EVENTS: tuple[type[EventData], ...] = (
    ListCreated,
    ListRenamed,
    ListArchived,
    ListEntered,
    ListLeft,
    ListsHandedOver,
    ListsReceived,
    ListsGivenBack,
    ListsTakenBack,
    ListsClosed,
)
