"""Events of customers: how the chain sees them and looks after them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, Moment, Part, Pii, open_list
from shared.events.customer import AnyChannel


class Grant(Part):
    """A category and who gave it: a person (`person`) or a rule (`rule:<name>`).

    A category stands as long as one giver has not taken it back, so that what a person gave stays
    when a rule takes back its own.
    """

    category: str
    by: str


class CategoriesChanged(EventData):
    """Categories were given and withdrawn."""

    type: ClassVar[str] = "customer.categories_changed.v1"
    given: tuple[Grant, ...] = ()
    withdrawn: tuple[Grant, ...] = ()


class TagsChanged(EventData):
    """Tags were put on and taken off."""

    type: ClassVar[str] = "customer.tags_changed.v1"
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class DiscountChanged(EventData):
    """A giver grants another discount of its own; the highest of all givers counts."""

    type: ClassVar[str] = "customer.discount_changed.v1"
    by: str = Field(description="`person` or `rule:<name>`")
    discount: int | None = Field(
        default=None, ge=0, le=10_000, description="hundredths of a percent; absent: withdrawn"
    )


class StatusChanged(EventData):
    """The customer came to another status of the path."""

    type: ClassVar[str] = "customer.status_changed.v1"
    status: str
    previous: str | None = None
    reason: Pii | None = None


class CustomerBlacklisted(EventData):
    """No advertising from here on, and tills warn; it blocks no sale."""

    type: ClassVar[str] = "customer.blacklisted.v1"
    reason: Pii | None = None
    until: Moment | None = Field(default=None, description="absent: until somebody lifts it")


class BlacklistingEnded(EventData):
    """The customer is off the blacklist."""

    type: ClassVar[str] = "customer.blacklisting_ended.v1"
    cause: Annotated[Literal["lifted", "expired"], open_list("why it ended")]


class ResponsibleAssigned(EventData):
    """Somebody else looks after the customer, or nobody."""

    type: ClassVar[str] = "customer.responsible_assigned.v1"
    employee: str | None = None
    previous: str | None = None


class NoteAdded(EventData):
    """Somebody wrote something down; the same note again is its new text."""

    type: ClassVar[str] = "customer.note_added.v1"
    note: str = Field(description="its id")
    text: Pii | None = None
    by: str | None = Field(default=None, description="id of the principal")


class NoteRemoved(EventData):
    """A note was taken away."""

    type: ClassVar[str] = "customer.note_removed.v1"
    note: str


class DocumentAttached(EventData):
    """A file belongs to the customer; its content is kept outside of events."""

    type: ClassVar[str] = "customer.document_attached.v1"
    document: str
    file: str = Field(description="the customer service's id of the stored file")
    title: Pii | None = None
    media_type: str
    size: int = Field(ge=0, description="bytes")
    sha256: str
    by: str | None = None


class DocumentRemoved(EventData):
    """A file was taken away."""

    type: ClassVar[str] = "customer.document_removed.v1"
    document: str


Relation = Literal["household", "family", "friend", "colleague", "referral"]
AnyRelation = Annotated[Relation, open_list("how they belong together")]


class CustomersLinked(EventData):
    """This customer belongs together with another; the other one's stream says the same."""

    type: ClassVar[str] = "customer.linked.v1"
    other: str
    relation: AnyRelation


class CustomersUnlinked(EventData):
    """A link is no more."""

    type: ClassVar[str] = "customer.unlinked.v1"
    other: str
    relation: AnyRelation


class CustomerArchived(EventData):
    """The record is out of sight until something happens or somebody wants it back."""

    type: ClassVar[str] = "customer.archived.v1"
    by: str = Field(description="`person` or `rule:<name>`")


class CustomerRestored(EventData):
    """The record is in sight again."""

    type: ClassVar[str] = "customer.restored.v1"
    by: str


class FieldsConfirmed(EventData):
    """Somebody made sure that fields still say what is true."""

    type: ClassVar[str] = "customer.fields_confirmed.v1"
    fields: tuple[str, ...] = Field(
        description="names as in `update rules`; custom ones `custom.<n>`"
    )
    by: str | None = None


class ConfirmationOverdue(EventData):
    """A field had to be confirmed by this moment, by its update rule, and was not."""

    type: ClassVar[str] = "customer.confirmation_overdue.v1"
    field: str
    since: Moment = Field(description="when it was last known to be right")
    how: str | None = Field(default=None, description="of the update rule")
    by: str | None = Field(default=None, description="who has to, of the update rule")


class TaskRequested(EventData):
    """A rule of the chain asks for a task on the customer; the interaction service plans it."""

    type: ClassVar[str] = "customer.task_requested.v1"
    rule: str
    title: str
    kind: Annotated[Literal["call", "meeting", "todo"], open_list("what is to be done")] = "todo"
    due: Moment
    employee: str | None = None


class MessageRequested(EventData):
    """Somebody wants the customer to get a message; consents and limits are asked when it goes."""

    type: ClassVar[str] = "customer.message_requested.v1"
    request: str = Field(description="id of what asked for it, the same for all that were asked")
    template: str
    topic: str
    channel: AnyChannel
    by: str | None = Field(default=None, description="id of the principal")


EVENTS: tuple[type[EventData], ...] = (
    CategoriesChanged,
    TagsChanged,
    DiscountChanged,
    StatusChanged,
    CustomerBlacklisted,
    BlacklistingEnded,
    ResponsibleAssigned,
    NoteAdded,
    NoteRemoved,
    DocumentAttached,
    DocumentRemoved,
    CustomersLinked,
    CustomersUnlinked,
    CustomerArchived,
    CustomerRestored,
    FieldsConfirmed,
    ConfirmationOverdue,
    TaskRequested,
    MessageRequested,
)
