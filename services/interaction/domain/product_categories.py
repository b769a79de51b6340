"""The tree of product categories: no cycle, every parent exists, and it is not deep.

All of it is one stream, so that these are decided in one place whoever changes what at the same
time. Nothing is deleted. A category that lives has only ancestors that live: children are archived
before their parent, and restored after it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from shared.decider import Decider, NewEvent, Refused, invalid, not_found
from shared.events.contract import EventData
from shared.events.product import (
    ProductCategoryArchived,
    ProductCategoryDefined,
    ProductCategoryRestored,
)

CATEGORY_STREAM = "configuration-product-categories"
MAX_CATEGORIES = 5_000
"""Archived ones included: every process keeps the whole tree in memory."""
MAX_DEPTH = 10
"""Levels of the tree; a root is on the first."""

RestsOn = Callable[[int | None], None]
"""Is told the version of the thing (None: there is none), and may refuse the change."""


def whatever(_version: int | None) -> None:
    """The change rests on no version."""


@dataclass(frozen=True, slots=True)
class Category:
    """A category, and the version of the tree's stream when it last changed."""

    definition: ProductCategoryDefined
    version: int
    archived: bool = False


@dataclass(frozen=True, slots=True)
class CategoryTree:
    """All categories by id; `version` counts the events of the stream."""

    version: int = 0
    items: Mapping[str, Category] = field(default_factory=dict)

    def lives(self, name: str) -> bool:
        """Whether products can be put into it."""
        item = self.items.get(name)
        return item is not None and not item.archived

    def parent(self, name: str) -> str | None:
        """The category above; None for a root, and for one that is not known."""
        item = self.items.get(name)
        return None if item is None else item.definition.parent

    def path(self, name: str) -> tuple[str, ...]:
        """Ids from the root down to the category itself; empty for one that is not known."""
        steps: list[str] = []
        at: str | None = name if name in self.items else None
        while at is not None:
            steps.append(at)
            at = self.parent(at)
        return tuple(reversed(steps))

    def below(self, name: str) -> frozenset[str]:
        """The category and all that are under it, archived ones too; empty for an unknown one."""
        return frozenset(name for level in self._levels(name) for name in level)

    def height(self, name: str) -> int:
        """The levels of the tree that begins with the category; 1 for one not known yet."""
        return max(1, sum(1 for _ in self._levels(name)))

    def children(self) -> Mapping[str | None, Sequence[str]]:
        """Ids under each category, by id; those under None are the roots."""
        found: dict[str | None, list[str]] = {}
        for name, item in sorted(self.items.items()):
            found.setdefault(item.definition.parent, []).append(name)
        return found

    def _levels(self, name: str) -> Iterator[Sequence[str]]:
        children = self.children()
        level: Sequence[str] = [name] if name in self.items else []
        while level:
            yield level
            level = [child for each in level for child in children.get(each, ())]

    def after(self, name: str, definition: ProductCategoryDefined, *, archived: bool) -> Self:
        """The tree after one more event."""
        version = self.version + 1
        items = {**self.items, name: Category(definition, version, archived)}
        return replace(self, version=version, items=items)


@dataclass(frozen=True, slots=True)
class DefineCategory:
    """Give a category its (new) definition."""

    definition: ProductCategoryDefined
    at: datetime
    rests_on: RestsOn = whatever

    @property
    def name(self) -> str:
        """Its id."""
        return self.definition.category


@dataclass(frozen=True, slots=True)
class ArchiveCategory:
    """Let no product be put into it any more."""

    name: str
    at: datetime
    rests_on: RestsOn = whatever


@dataclass(frozen=True, slots=True)
class RestoreCategory:
    """Let products be put into it again."""

    name: str
    at: datetime
    rests_on: RestsOn = whatever


CategoryCommand = DefineCategory | ArchiveCategory | RestoreCategory


def decide_category(command: CategoryCommand, tree: CategoryTree) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    item = tree.items.get(command.name)
    if isinstance(command, DefineCategory):
        return _define(command, item, tree)
    if item is None:
        raise not_found("product category", command.name)
    archives = isinstance(command, ArchiveCategory)
    if item.archived == archives:
        return ()
    command.rests_on(item.version)
    if archives:
        _check_childless(command.name, tree)
        return (NewEvent(ProductCategoryArchived(category=command.name), command.at),)
    _check_parent(item.definition, tree)
    return (NewEvent(ProductCategoryRestored(category=command.name), command.at),)


def _define(
    command: DefineCategory, item: Category | None, tree: CategoryTree
) -> Sequence[NewEvent]:
    if item is None:
        command.rests_on(None)
        if len(tree.items) >= MAX_CATEGORIES:
            raise Refused(
                "too-many",
                422,
                "There are too many of these.",
                f"at most {MAX_CATEGORIES} product categories",
            )
    else:
        if item.archived:
            raise Refused("archived", 409, "It is archived.", "restore the category first")
        if item.definition == command.definition:
            return ()
        command.rests_on(item.version)
    _check_parent(command.definition, tree)
    return (NewEvent(command.definition, command.at),)


def _check_parent(definition: ProductCategoryDefined, tree: CategoryTree) -> None:
    """Raise `Refused` where the category cannot stand below its parent."""
    name, parent = definition.category, definition.parent
    if parent is None:
        return
    if parent == name or name in tree.path(parent):
        raise invalid("parent", "is the category itself, or below it")
    if not tree.lives(parent):
        raise invalid("parent", "is no category that others can be put below")
    if len(tree.path(parent)) + tree.height(name) > MAX_DEPTH:
        raise invalid("parent", f"would make the tree deeper than {MAX_DEPTH} levels")


def _check_childless(name: str, tree: CategoryTree) -> None:
    if any(tree.lives(child) for child in tree.children().get(name, ())):
        raise Refused(
            "has-children", 409, "Others are below it.", "archive the categories below it first"
        )


def evolve_category(tree: CategoryTree, data: EventData) -> CategoryTree:
    """The tree after an event."""
    match data:
        case ProductCategoryDefined(category=name):
            return tree.after(name, data, archived=False)
        case ProductCategoryArchived(category=name):
            return tree.after(name, tree.items[name].definition, archived=True)
        case ProductCategoryRestored(category=name):
            return tree.after(name, tree.items[name].definition, archived=False)
        case _:
            message = f"product categories have no event {data.type}"
            raise TypeError(message)


CATEGORIES: Decider[CategoryCommand, CategoryTree] = Decider(
    CategoryTree, decide_category, evolve_category
)
