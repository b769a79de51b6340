"""Categories of customers: a colour, and the discount that goes with them."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.customer.domain.configuration.catalogue import (
    Archive,
    Catalogue,
    Define,
    Restore,
    Rules,
    check_titles,
    decide_item,
)
from shared.decider import Decider, NewEvent, invalid
from shared.events.configuration import CategoryArchived, CategoryDefined, CategoryRestored
from shared.events.contract import EventData

CategoryCommand = Define[CategoryDefined] | Archive | Restore


@dataclass(frozen=True, slots=True)
class Categories(Catalogue[CategoryDefined]):
    """All categories by name."""

    def require(self, name: str, path: str) -> CategoryDefined:
        """A category that may be given. Raises `Refused` that names the field at `path`."""
        if not self.lives(name):
            raise invalid(path, "is no category that can be given")
        return self.items[name].definition


def _check(definition: CategoryDefined, name: str, state: Categories) -> None:
    check_titles(definition.titles, name, ((other, each.titles) for other, each in state.living()))


RULES: Rules[CategoryDefined, Categories] = Rules(
    kind="category",
    archived=lambda name: CategoryArchived(category=name),
    restored=lambda name: CategoryRestored(category=name),
    check=_check,
)


def decide(command: CategoryCommand, state: Categories) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    return decide_item(RULES, command, state)


def evolve(state: Categories, data: EventData) -> Categories:
    """The categories after an event."""
    match data:
        case CategoryDefined(category=name):
            return state.with_definition(name, data)
        case CategoryArchived(category=name):
            return state.with_archived(name, archived=True)
        case CategoryRestored(category=name):
            return state.with_archived(name, archived=False)
        case _:
            message = f"categories have no event {data.type}"
            raise TypeError(message)


CATEGORIES: Decider[CategoryCommand, Categories] = Decider(Categories, decide, evolve)
