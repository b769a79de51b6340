"""Events of what the chain has done by itself: rules, and what its timers notice of a customer.

`customer.became_inactive` and `customer.active_again` are noticed by the customer service's timers
and carried out by its reaction, so a record that is archived by rule has both moments in the log.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.configuration import Name, Titles
from shared.events.contract import EventData, MinorUnits, Moment, Part, open_list
from shared.events.customer import AnyKind

Occasion = Literal["segment_entered", "segment_left", "status_reached", "receipt", "inactive"]
TaskKind = Literal["call", "meeting", "todo"]


class When(Part):
    """What a rule waits for."""

    on: Annotated[Occasion, open_list("what happens")]
    segment: str | None = Field(default=None, description="on: segment_entered, segment_left")
    while_inside: bool = Field(
        default=False, description="on: segment_entered; leaving takes back what it gave"
    )
    status: str | None = Field(default=None, description="on: status_reached")
    at_least: MinorUnits | None = Field(default=None, description="on: receipt; its total")
    after: str | None = Field(
        default=None, description="on: inactive; ISO 8601 duration of days or weeks"
    )


class TaskTemplate(Part):
    """A task to be planned."""

    title: str
    kind: Annotated[TaskKind, open_list("what is to be done")] = "todo"
    due: str = Field(description="ISO 8601 duration of days or weeks, from the cause")
    employee: str | None = Field(default=None, description="absent: whoever is responsible")


class Then(Part):
    """What a rule does, in this order; all of it in its own name, `rule:<name>`."""

    give_categories: tuple[str, ...] = ()
    take_categories: tuple[str, ...] = Field(
        default=(), description="only what this rule gave; what a person gave stays"
    )
    discount: int | None = Field(
        default=None, ge=0, le=10_000, description="hundredths of a percent; 0: it grants none"
    )
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    status: str | None = None
    responsible: str | None = None
    archive: bool = Field(default=False, description="on: inactive")
    task: TaskTemplate | None = None


class AutomationDefined(EventData):
    """A rule has a (new) definition."""

    type: ClassVar[str] = "automation.defined.v1"
    rule: Name
    titles: Titles
    when: When
    branches: tuple[str, ...] | None = Field(
        default=None, description="of the receipt, else of the customer; absent: any"
    )
    then: Then
    since: Moment = Field(description="causes that were recorded before it are not taken")


class AutomationArchived(EventData):
    """The rule does nothing new; what it gave while inside is still taken back on leaving."""

    type: ClassVar[str] = "automation.archived.v1"
    rule: Name


class AutomationRestored(EventData):
    """The rule counts again, for causes that are recorded from now on."""

    type: ClassVar[str] = "automation.restored.v1"
    rule: Name
    since: Moment


class RegistrationDefined(EventData):
    """Which facts of somebody unknown make them a customer at once; it replaces what stood."""

    type: ClassVar[str] = "automation.registration_defined.v1"
    facts: tuple[str, ...] = Field(
        description="kinds, as in `interaction.<kind>`, e.g. `receipt_recorded`; none: they wait"
    )
    identifiers: tuple[AnyKind, ...] | None = Field(
        default=None, description="one of these must be known; absent: any"
    )
    acquisition: str | None = Field(default=None, description="the source that they get")
    since: Moment = Field(description="facts that were recorded before it are not taken")


class CustomerBecameInactive(EventData):
    """Nothing has happened with the customer for as long as a rule waits, and no deal is open."""

    type: ClassVar[str] = "customer.became_inactive.v1"
    rule: str
    since: Moment = Field(description="when something happened last")


class CustomerActiveAgain(EventData):
    """Something happened with a customer whose record is archived: it is to be restored."""

    type: ClassVar[str] = "customer.active_again.v1"
    event: str = Field(description="id of what happened")


EVENTS: tuple[type[EventData], ...] = (
    AutomationDefined,
    AutomationArchived,
    AutomationRestored,
    RegistrationDefined,
    CustomerBecameInactive,
    CustomerActiveAgain,
)
