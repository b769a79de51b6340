"""Events of the customer service's configuration: what is filled in, chosen, opened and hired.

Every definition is told whole each time, so the last one stands alone. Nothing is ever deleted:
what was archived is found in old records, and can be restored.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, Part, Pii, open_list

Titles = Annotated[dict[str, str], Field(description="language (BCP 47) → what people read")]
Name = Annotated[str, Field(description="its name in records and rules, for ever the same")]

FieldType = Literal["text", "number", "money", "date", "yes_no", "list", "multi_list"]
FieldGroup = Literal["basic", "transactional", "behavioural", "needs"]
Means = Literal["any", "call", "email", "message", "in_person", "form"]
ComputedOf = Literal["spending_level", "buying_habit"]
Confirmer = Literal["responsible", "position", "employee"]
RecordAttribute = Literal[
    "phone",
    "email",
    "card",
    "messenger",
    "social",
    "surname",
    "name",
    "birth_date",
    "address",
    "city",
    "workplace",
]
StatusMeaning = Literal["new", "lead", "active", "signed", "lapsed"]
Directory = Literal["customer_type", "deal_type", "source"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class UpdateRule(Part):
    """How often a value has to be confirmed, how, and by whom."""

    every: str = Field(description="ISO 8601 duration of days or weeks, from the last confirmation")
    how: Annotated[Means, open_list("how it is asked")]
    by: Confirmer
    position: str | None = Field(
        default=None, description="by: position; of an employee of the customer's home branch"
    )
    employee: str | None = Field(default=None, description="by: employee; its id")


class Choice(Part):
    """One of the values of a list."""

    name: Name
    titles: Titles


class Step(Part):
    """A choice, and the least measure that makes it the value."""

    choice: str
    least: int = Field(ge=0)


class Computed(Part):
    """How a field gets its value from what the customer bought; nobody writes it.

    `spending_level` measures net spent in minor units, `buying_habit` the mean days from one visit
    to the next (rounded down, from the second visit on). The last step that is reached counts.
    """

    of: Annotated[ComputedOf, open_list("what is measured")]
    steps: tuple[Step, ...]


class FieldDefined(EventData):
    """A custom field of customers has a (new) definition; its type never changes."""

    type: ClassVar[str] = "field.defined.v1"
    field: Name
    titles: Titles
    kind: Annotated[FieldType, open_list("the type of its values")]
    group: Annotated[FieldGroup, open_list("where it stands in the record")]
    purpose: str = Field(description="what it is kept for")
    retention: str | None = Field(
        default=None, description="ISO 8601 duration that a value is kept; absent: for ever"
    )
    required: bool = False
    decimals: int = Field(
        default=0, ge=0, description="of a number: it is kept as a whole number of 10^-decimals"
    )
    choices: tuple[Choice, ...] = Field(default=(), description="of a list or multi-list")
    update_rule: UpdateRule | None = None
    computed: Computed | None = Field(default=None, description="absent: people write it")


class FieldArchived(EventData):
    """Values that are there stay; new ones are refused."""

    type: ClassVar[str] = "field.archived.v1"
    field: Name


class FieldRestored(EventData):
    """The field takes values again."""

    type: ClassVar[str] = "field.restored.v1"
    field: Name


class RecordRuleDefined(EventData):
    """An attribute that every record has must be confirmed from time to time."""

    type: ClassVar[str] = "field.record_rule_defined.v1"
    attribute: Annotated[RecordAttribute, open_list("which part of the record")]
    rule: UpdateRule


class RecordRuleRemoved(EventData):
    """The attribute need not be confirmed any more."""

    type: ClassVar[str] = "field.record_rule_removed.v1"
    attribute: Annotated[RecordAttribute, open_list("which part of the record")]


class CategoryDefined(EventData):
    """A category of customers has a (new) definition."""

    type: ClassVar[str] = "category.defined.v1"
    category: Name
    titles: Titles
    colour: str = Field(description="#rrggbb, small letters")
    discount: int = Field(default=0, ge=0, description="hundredths of a percent")


class CategoryArchived(EventData):
    """Who has it keeps it; nobody is given it any more."""

    type: ClassVar[str] = "category.archived.v1"
    category: Name


class CategoryRestored(EventData):
    """The category can be given again."""

    type: ClassVar[str] = "category.restored.v1"
    category: Name


class StatusDefined(EventData):
    """A status of customers has a (new) definition; five are there from the start."""

    type: ClassVar[str] = "status.defined.v1"
    status: Name
    titles: Titles
    meaning: Annotated[StatusMeaning, open_list("what rules take it for")] | None = Field(
        default=None, description="at most one living status has each"
    )


class StatusArchived(EventData):
    """Who has it keeps it; nobody comes into it any more."""

    type: ClassVar[str] = "status.archived.v1"
    status: Name


class StatusRestored(EventData):
    """The status can be taken again, once the path leads to it."""

    type: ClassVar[str] = "status.restored.v1"
    status: Name


class Move(Part):
    """A step that a customer may take."""

    before: str
    after: str


class StatusPathDefined(EventData):
    """In which status customers begin, and which moves they may make."""

    type: ClassVar[str] = "status.path_defined.v1"
    initial: str
    moves: tuple[Move, ...]


class DirectoryEntryDefined(EventData):
    """An entry of a directory has a (new) definition."""

    type: ClassVar[str] = "directory.entry_defined.v1"
    directory: Annotated[Directory, open_list("which directory")]
    entry: Name
    titles: Titles


class DirectoryEntryArchived(EventData):
    """Records keep it; new ones cannot choose it."""

    type: ClassVar[str] = "directory.entry_archived.v1"
    directory: Annotated[Directory, open_list("which directory")]
    entry: Name


class DirectoryEntryRestored(EventData):
    """The entry can be chosen again."""

    type: ClassVar[str] = "directory.entry_restored.v1"
    directory: Annotated[Directory, open_list("which directory")]
    entry: Name


class Hours(Part):
    """A stretch of a weekday that the branch is open, in its own zone: `09:00` to `24:00`."""

    day: Weekday
    opens: str
    closes: str


class BranchPlace(Part):
    """Where a branch is."""

    zone: str = Field(description="IANA name of its time zone")
    city: str | None = None
    address: str | None = None


class BranchOpened(EventData):
    """A branch serves customers from a day on; again, where it had been closed."""

    type: ClassVar[str] = "branch.opened.v1"
    branch: Name
    titles: Titles
    place: BranchPlace
    hours: tuple[Hours, ...] = ()
    since: str = Field(description="ISO 8601 date in its zone")


class BranchChanged(EventData):
    """A branch has other titles or working hours."""

    type: ClassVar[str] = "branch.changed.v1"
    branch: Name
    titles: Titles
    hours: tuple[Hours, ...] = ()


class BranchMoved(EventData):
    """A branch is at another place; its home customers go with it, or to another branch."""

    type: ClassVar[str] = "branch.moved.v1"
    branch: Name
    place: BranchPlace
    since: str = Field(description="ISO 8601 date in its zone")
    customers_to: str | None = Field(
        default=None, description="the branch that its home customers go to; absent: they stay"
    )


class BranchClosed(EventData):
    """A branch serves nobody from a day on."""

    type: ClassVar[str] = "branch.closed.v1"
    branch: Name
    since: str = Field(description="ISO 8601 date in its zone")
    customers_to: str | None = Field(
        default=None, description="the branch that its home customers go to; absent: they stay"
    )


class EmployeeHired(EventData):
    """Somebody works for the chain; the event's subject is `employee-<id>`, whose key seals it."""

    type: ClassVar[str] = "employee.hired.v1"
    employee: str
    name: Pii | None = None
    position: str = Field(description="what the chain calls the job, e.g. `administrator`")
    branches: tuple[str, ...] | None = Field(default=None, description="absent: the whole chain")
    principals: tuple[str, ...] = Field(
        default=(), description="ids of the callers that they are, e.g. `key:<prefix>`"
    )


class EmployeeChanged(EventData):
    """Somebody has another name, position, branches or keys."""

    type: ClassVar[str] = "employee.changed.v1"
    employee: str
    name: Pii | None = None
    position: str
    branches: tuple[str, ...] | None = Field(default=None, description="absent: the whole chain")
    principals: tuple[str, ...] = ()


class EmployeeLeft(EventData):
    """Somebody works here no longer: no access from now on, and what was theirs is handed over."""

    type: ClassVar[str] = "employee.left.v1"
    employee: str
    since: str = Field(description="ISO 8601 date")
    successor: str | None = Field(
        default=None, description="who takes over customers, deals and tasks; absent: nobody yet"
    )


class EmployeeReturned(EventData):
    """Somebody works here again; new keys are theirs only once they are bound."""

    type: ClassVar[str] = "employee.returned.v1"
    employee: str


class EmployeeErased(EventData):
    """The name of somebody who left is gone for good; what they did is still told by their id."""

    type: ClassVar[str] = "employee.erased.v1"
    employee: str


EVENTS: tuple[type[EventData], ...] = (
    FieldDefined,
    FieldArchived,
    FieldRestored,
    RecordRuleDefined,
    RecordRuleRemoved,
    CategoryDefined,
    CategoryArchived,
    CategoryRestored,
    StatusDefined,
    StatusArchived,
    StatusRestored,
    StatusPathDefined,
    DirectoryEntryDefined,
    DirectoryEntryArchived,
    DirectoryEntryRestored,
    BranchOpened,
    BranchChanged,
    BranchMoved,
    BranchClosed,
    EmployeeHired,
    EmployeeChanged,
    EmployeeLeft,
    EmployeeReturned,
    EmployeeErased,
)
