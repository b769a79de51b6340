"""What callers send to configure the chain, and the definitions that come of it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.customer.api.inputs import Input, Slug, Text
from shared.events.automation import RegistrationDefined
from shared.events.configuration import (
    CategoryDefined,
    Choice,
    Computed,
    ComputedOf,
    Confirmer,
    Directory,
    DirectoryEntryDefined,
    FieldDefined,
    FieldGroup,
    FieldType,
    Means,
    Move,
    StatusDefined,
    StatusMeaning,
    StatusPathDefined,
    UpdateRule,
)
from shared.events.customer import IdentifierKind

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$")]
Titles = Annotated[
    dict[Language, Text],
    Field(min_length=1, max_length=20, description="language (BCP 47) → what people read"),
]
FactKind = Literal[
    "receipt_recorded",
    "visit_recorded",
    "order_changed",
    "call_recorded",
    "meeting_recorded",
    "message_recorded",
    "complaint_recorded",
    "survey_answered",
    "referred",
]
Duration = Annotated[str, StringConstraints(pattern=r"^P[1-9][0-9]{0,4}[DWMY]$")]


class UpdateRuleInput(Input):
    """How often a value has to be confirmed, how, and by whom."""

    every: Duration = Field(description="of days or weeks: P365D, P52W")
    how: Means = "any"
    by: Confirmer = "responsible"
    position: Slug | None = None
    employee: Text | None = None

    def rule(self) -> UpdateRule:
        """The rule as it is recorded."""
        return UpdateRule.model_validate(self.model_dump())


class ChoiceInput(Input):
    """One of the values of a list."""

    name: Slug
    titles: Titles


class StepInput(Input):
    """A choice, and the least measure that makes it the value."""

    choice: Slug
    least: int = Field(ge=0, le=2**53)


class ComputedInput(Input):
    """What fills the field in: net spent (minor units), or the mean days between visits."""

    of: ComputedOf
    steps: tuple[StepInput, ...] = Field(min_length=1, max_length=50)

    def computed(self) -> Computed:
        """As it is recorded."""
        return Computed.model_validate(self.model_dump())


class FieldInput(Input):
    """A custom field."""

    titles: Titles
    kind: FieldType
    group: FieldGroup = "basic"
    purpose: Text
    retention: Duration | None = Field(default=None, description="P3Y, P6M; left out: for ever")
    required: bool = False
    decimals: int = Field(default=0, ge=0, le=6, description="of a number")
    choices: tuple[ChoiceInput, ...] = Field(default=(), max_length=500)
    update_rule: UpdateRuleInput | None = None
    computed: ComputedInput | None = Field(default=None, description="left out: people write it")

    def definition(self, name: str) -> FieldDefined:
        """The event that says so."""
        return FieldDefined(
            field=name,
            titles=dict(self.titles),
            kind=self.kind,
            group=self.group,
            purpose=self.purpose,
            retention=self.retention,
            required=self.required,
            decimals=self.decimals,
            choices=tuple(
                Choice(name=each.name, titles=dict(each.titles)) for each in self.choices
            ),
            update_rule=None if self.update_rule is None else self.update_rule.rule(),
            computed=None if self.computed is None else self.computed.computed(),
        )


class CategoryInput(Input):
    """A category of customers."""

    titles: Titles
    colour: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$", to_lower=True)]
    discount: int = Field(default=0, ge=0, le=10_000, description="hundredths of a percent")

    def definition(self, name: str) -> CategoryDefined:
        """The event that says so."""
        return CategoryDefined(
            category=name, titles=dict(self.titles), colour=self.colour, discount=self.discount
        )


class StatusInput(Input):
    """A status of customers."""

    titles: Titles
    meaning: StatusMeaning | None = None

    def definition(self, name: str) -> StatusDefined:
        """The event that says so."""
        return StatusDefined(status=name, titles=dict(self.titles), meaning=self.meaning)


class MoveInput(Input):
    """A step that a customer may take."""

    before: Slug
    after: Slug


class PathInput(Input):
    """The path of statuses, whole."""

    initial: Slug
    moves: tuple[MoveInput, ...] = Field(max_length=1000)

    def path(self) -> StatusPathDefined:
        """The event that says so."""
        moves = tuple(Move(before=each.before, after=each.after) for each in self.moves)
        return StatusPathDefined(initial=self.initial, moves=moves)


class RegistrationInput(Input):
    """Which facts of somebody unknown make them a customer at once."""

    facts: frozenset[FactKind] = Field(max_length=20, description="none: they wait")
    identifiers: frozenset[IdentifierKind] | None = Field(
        default=None, min_length=1, description="one of these must be known; left out: any"
    )
    acquisition: Slug | None = Field(
        default=None, description="an entry of the directory `source`, which they get"
    )

    def definition(self, now: datetime) -> RegistrationDefined:
        """The event that says so."""
        kinds = None if self.identifiers is None else tuple(sorted(self.identifiers))
        return RegistrationDefined(
            facts=tuple(sorted(self.facts)),
            identifiers=kinds,
            acquisition=self.acquisition,
            since=now,
        )


class EntryInput(Input):
    """An entry of a directory."""

    titles: Titles

    def definition(self, directory: Directory, entry: str) -> DirectoryEntryDefined:
        """The event that says so."""
        return DirectoryEntryDefined(directory=directory, entry=entry, titles=dict(self.titles))
