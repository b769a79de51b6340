"""From a cause to the commands that the chain's rules give: pure, and the same each time.

A rule takes causes that were recorded at or after its `since`. What an import brings happened long
ago: only rules that act while inside a segment follow it, since they say what is true now.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from services.customer.domain.commands import (
    Archive,
    AssignResponsible,
    ChangeCategories,
    ChangeTags,
    Command,
    RequestTask,
    Restore,
    SetDiscount,
    SetStatus,
)
from services.customer.domain.configuration.automation import giver_of
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.configuration.durations import exact_duration
from services.customer.domain.configuration.statuses import Statuses
from shared.causes import too_deep
from shared.events.automation import AutomationDefined, Occasion
from shared.events.care import TaskRequested

ACTIVITY = giver_of("activity")
"""In whose name an archived record is restored because something happened."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that happened to a customer.

    `name` is the segment, the status, or the rule that waited; `on` is None for activity on an
    archived record. `branch` is that of the event. `depth` counts the causes before it.
    """

    event: str
    customer: str
    on: Occasion | None
    time: datetime
    recorded: datetime
    correlation: str
    depth: int
    name: str = ""
    total: int = 0
    branch: str | None = None
    imported: bool = False

    @property
    def too_deep(self) -> bool:
        """Whether what follows would stand behind too many causes."""
        return too_deep(self.depth + 1)


@dataclass(frozen=True, slots=True)
class Reaction:
    """A rule that a cause touches; `leaving`: it takes back what it gave."""

    rule: str
    definition: AutomationDefined
    leaving: bool = False

    @property
    def asks_branch(self) -> bool:
        """Whether it has to be known where the customer belongs. Whoever leaves, leaves anyway."""
        return self.definition.branches is not None and not self.leaving


def reactions(configuration: Configuration, cause: Cause) -> Iterator[Reaction]:
    """The rules that a cause touches, by name; branches are not looked at yet.

    An archived rule that acted while inside still takes back, also from who left before it was
    restored: it takes back only what it gave, so when it began to count does not matter then.
    """
    for name, item in sorted(configuration.automation.items.items()):
        when = item.definition.when
        if cause.on == "segment_left" and when.while_inside and when.segment == cause.name:
            yield Reaction(name, item.definition, leaving=True)
        elif item.archived or cause.recorded < item.definition.since:
            continue
        elif _touches(item.definition, name, cause):
            yield Reaction(name, item.definition)


def _touches(definition: AutomationDefined, name: str, cause: Cause) -> bool:
    when = definition.when
    if when.on != cause.on or (cause.imported and not when.while_inside):
        return False
    match when.on:
        case "segment_entered" | "segment_left":
            return when.segment == cause.name
        case "status_reached":
            return when.status == cause.name
        case "receipt":
            return when.at_least is not None and cause.total >= when.at_least
        case "inactive":
            return name == cause.name


def applies(reaction: Reaction, branch: str | None) -> bool:
    """Whether the rule is for this branch."""
    branches = reaction.definition.branches
    return not reaction.asks_branch or branches is None or branch in branches


def commands_of(
    configuration: Configuration, reaction: Reaction, cause: Cause
) -> Iterator[tuple[str, Command]]:
    """What the rule does, each with the part of its command's id that tells it apart."""
    if reaction.leaving:
        yield from _taken_back(configuration, reaction, cause)
        return
    then, giver = reaction.definition.then, giver_of(reaction.rule)
    customer, at = cause.customer, cause.time
    give = {each for each in then.give_categories if configuration.categories.lives(each)}
    if give or then.take_categories:
        yield (
            "categories",
            ChangeCategories(
                customer=customer,
                at=at,
                give=frozenset(give),
                withdraw=frozenset(then.take_categories),
                giver=giver,
            ),
        )
    if then.discount is not None:
        discount = then.discount or None
        yield "discount", SetDiscount(customer=customer, at=at, discount=discount, giver=giver)
    if then.add_tags or then.remove_tags:
        add, remove = frozenset(then.add_tags), frozenset(then.remove_tags)
        yield "tags", ChangeTags(customer=customer, at=at, add=add, remove=remove)
    if then.status is not None and configuration.statuses.lives(then.status):
        may_follow = _following(configuration.statuses, then.status)
        yield (
            "status",
            SetStatus(customer=customer, at=at, status=then.status, may_follow=may_follow),
        )
    employees = configuration.employees
    if then.responsible is not None and employees.works(then.responsible):
        yield (
            "responsible",
            AssignResponsible(customer=customer, at=at, employee=then.responsible),
        )
    if then.archive:
        yield "archive", Archive(customer=customer, at=at, giver=giver)
    if then.task is not None:
        task = _task(reaction, at)
        if task.employee is not None and not employees.works(task.employee):
            task = task.model_copy(update={"employee": None})
        yield "task", RequestTask(customer=customer, at=at, task=task)


def restoring(cause: Cause) -> Command:
    """What brings an archived record back where something happened."""
    return Restore(customer=cause.customer, at=cause.time, giver=ACTIVITY)


def _following(statuses: Statuses, status: str) -> Callable[[str | None], None]:
    def may_follow(before: str | None) -> None:
        statuses.require_move(before or statuses.initial, status, "then.status")

    return may_follow


def _taken_back(
    configuration: Configuration, reaction: Reaction, cause: Cause
) -> Iterator[tuple[str, Command]]:
    """All that stands in the rule's name, also from a definition that it had before."""
    giver = giver_of(reaction.rule)
    every = frozenset(configuration.categories.items)
    yield (
        "categories",
        ChangeCategories(customer=cause.customer, at=cause.time, withdraw=every, giver=giver),
    )
    yield (
        "discount",
        SetDiscount(customer=cause.customer, at=cause.time, discount=None, giver=giver),
    )


def _task(reaction: Reaction, at: datetime) -> TaskRequested:
    task = reaction.definition.then.task
    assert task is not None  # noqa: S101 - asked for only where there is one
    return TaskRequested(
        rule=reaction.rule,
        title=task.title,
        kind=task.kind,
        due=at + exact_duration(task.due, "due"),
        employee=task.employee,
    )
