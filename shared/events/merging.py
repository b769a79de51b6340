"""Events of customers that turn out to be one person, or not, or that must be forgotten.

Every list here says what changes at the customer of the stream, so that a reader folds it without
knowing the other customer.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.care import Grant
from shared.events.contract import EventData, Moment, Part, Pii, open_list
from shared.events.customer import AnyChannel, AnyKind, Evidence, Identifier, RecordFields

AnyReason = Annotated[
    Literal["request", "law", "retention", "mistake"], open_list("why it was asked for")
]


class ConsentState(Part):
    """A consent or withdrawal that counts at this customer from now on."""

    topic: str
    channel: AnyChannel
    contact: str | None = Field(default=None, description="as in `customer.consent_given`")
    given: bool | None = Field(
        default=None, description="absent: neither given nor withdrawn, as before the merge"
    )
    evidence: Evidence | None = None


class ReleasedIdentifier(Part):
    """An identifier that finds this customer no longer."""

    kind: AnyKind
    hash: str
    epoch: int = Field(ge=1)


class DiscountGrant(Part):
    """A discount (hundredths of a percent) and who grants it, as in `customer.discount_changed`."""

    by: str
    discount: int = Field(ge=0, le=10_000)


class Blacklisting(Part):
    """As in `customer.blacklisted`."""

    reason: Pii | None = None
    until: Moment | None = Field(default=None, description="absent: until somebody lifts it")


class CustomerMerged(EventData):
    """This customer is another one: whatever concerns it concerns the survivor from now on."""

    type: ClassVar[str] = "customer.merged.v1"
    merge: str = Field(description="id of the merge")
    survivor: str
    reason: Pii | None = None
    by: str | None = Field(default=None, description="id of the principal")


class CustomerAbsorbed(EventData):
    """Another customer is this one: what it brings along. Sealed values keep its key."""

    type: ClassVar[str] = "customer.absorbed.v1"
    merge: str
    other: str
    identifiers: tuple[Identifier, ...] = Field(
        default=(), description="they find this customer now, in place of equal ones"
    )
    consents: tuple[ConsentState, ...] = ()
    fields: RecordFields = Field(
        default=RecordFields(), description="fields that had no value here"
    )
    tags: tuple[str, ...] = ()
    categories: tuple[Grant, ...] = ()
    discounts: tuple[DiscountGrant, ...] = ()
    status: str | None = Field(default=None, description="where there was none here")
    responsible: str | None = Field(default=None, description="where there was nobody here")
    blacklist: Blacklisting | None = Field(default=None, description="where there was none here")


class MergeReverted(EventData):
    """A merge is undone at this customer; `role` says which of the two it was."""

    type: ClassVar[str] = "customer.merge_reverted.v1"
    merge: str
    other: str
    role: Annotated[Literal["survivor", "loser"], open_list("what this customer was in the merge")]
    released: tuple[ReleasedIdentifier, ...] = ()
    identifiers: tuple[Identifier, ...] = Field(
        default=(),
        description="of a loser: all that find it from now on, with new epochs; of a survivor: "
        "what stands again in place of something released",
    )
    consents: tuple[ConsentState, ...] = ()
    cleared: tuple[str, ...] = Field(
        default=(),
        description="fields, as in `customer.changed`, and `status`, `responsible`, `blacklist`",
    )
    tags_removed: tuple[str, ...] = ()
    categories_withdrawn: tuple[Grant, ...] = ()
    discounts_withdrawn: tuple[str, ...] = Field(default=(), description="who had granted them")
    by: str | None = Field(default=None, description="id of the principal")


class DuplicateDismissed(EventData):
    """Somebody has looked: the other one is another person, however alike they are."""

    type: ClassVar[str] = "customer.duplicate_dismissed.v1"
    other: str
    by: str | None = Field(default=None, description="id of the principal")


class EraseRequested(EventData):
    """Somebody must be forgotten: from here on it happens, whatever is killed meanwhile."""

    type: ClassVar[str] = "customer.erase_requested.v1"
    erase: str = Field(description="id of the erase")
    customer: str = Field(description="any customer of the merge tree")
    reason: AnyReason
    by: str | None = Field(default=None, description="id of the principal")


class CustomerErased(EventData):
    """Everything personal is gone for good; what is left concerns nobody."""

    type: ClassVar[str] = "customer.erased.v1"
    erase: str = Field(description="id of the erase")
    reason: AnyReason
    by: str | None = Field(default=None, description="id of the principal")


EVENTS: tuple[type[EventData], ...] = (
    CustomerMerged,
    CustomerAbsorbed,
    MergeReverted,
    DuplicateDismissed,
    EraseRequested,
    CustomerErased,
)
