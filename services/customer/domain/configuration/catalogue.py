"""Definitions by name, as most kinds of configuration keep them: defined, archived, restored.

Nothing is deleted: an archived definition explains old records, takes no new ones, and can come
back. The version of an item is that of its kind's stream when it last changed, so that whoever
changes it names what they have seen of it, whatever happened to its neighbours.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from shared.decider import NewEvent, Refused, not_found
from shared.events.contract import EventData

MAX_ITEMS = 500
"""Of one kind, archived ones included: all of them are kept in memory by every process."""


RestsOn = Callable[[int | None], None]
"""Is told the version of the item (None: there is none), and may refuse the change."""


def whatever(_version: int | None) -> None:
    """The change rests on no version."""


DefinitionT = TypeVar("DefinitionT", bound=EventData)


@dataclass(frozen=True, slots=True)
class Item(Generic[DefinitionT]):
    """A definition, and the version of its stream when the item last changed."""

    definition: DefinitionT
    version: int = 0
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Catalogue(Generic[DefinitionT]):
    """All items of a kind by name; `version` counts the events of its stream."""

    version: int = 0
    items: Mapping[str, Item[DefinitionT]] = field(default_factory=dict)

    def get(self, name: str) -> DefinitionT | None:
        """The definition, archived or not."""
        item = self.items.get(name)
        return None if item is None else item.definition

    def living(self) -> Iterator[tuple[str, DefinitionT]]:
        """Names and definitions of those that are not archived."""
        return ((name, item.definition) for name, item in self.items.items() if not item.archived)

    def lives(self, name: str) -> bool:
        """Whether there is one of the name that is not archived."""
        item = self.items.get(name)
        return item is not None and not item.archived

    def counted(self) -> Self:
        """The same after one more event."""
        return replace(self, version=self.version + 1)

    def with_definition(self, name: str, definition: DefinitionT) -> Self:
        """The catalogue after an event that defines the item."""
        version = self.version + 1
        items = {**self.items, name: Item(definition, version)}
        return replace(self, version=version, items=items)

    def with_archived(self, name: str, *, archived: bool) -> Self:
        """The catalogue after an event that archives the item, or restores it."""
        version = self.version + 1
        item = replace(self.items[name], version=version, archived=archived)
        return replace(self, version=version, items={**self.items, name: item})


@dataclass(frozen=True, slots=True)
class Define(Generic[DefinitionT]):
    """Give an item its (new) definition."""

    name: str
    definition: DefinitionT
    at: datetime
    rests_on: RestsOn = whatever


@dataclass(frozen=True, slots=True)
class Archive:
    """Let nothing new have the item."""

    name: str
    at: datetime
    rests_on: RestsOn = whatever


@dataclass(frozen=True, slots=True)
class Restore:
    """Let records have the item again."""

    name: str
    at: datetime
    rests_on: RestsOn = whatever


CatalogueT = TypeVar("CatalogueT", bound=Catalogue[Any])


@dataclass(frozen=True, slots=True)
class Rules(Generic[DefinitionT, CatalogueT]):
    """What is particular to a kind.

    `check(definition, name, state)` raises `Refused` for a definition that cannot stand beside the
    others, and is asked again before a restore; `may_archive(name, state)` raises it for an item
    that is needed.
    """

    kind: str
    archived: Callable[[str], EventData]
    restored: Callable[[str], EventData]
    check: Callable[[DefinitionT, str, CatalogueT], None]
    may_archive: Callable[[str, CatalogueT], None] = lambda _name, _state: None


def decide_item(
    rules: Rules[DefinitionT, CatalogueT],
    command: Define[DefinitionT] | Archive | Restore,
    state: CatalogueT,
) -> Sequence[NewEvent]:
    """The events that follow from a command on an item, or its refusal."""
    item: Item[DefinitionT] | None = state.items.get(command.name)
    if isinstance(command, Define):
        return _define(rules, command, item, state)
    if item is None:
        raise not_found(rules.kind, command.name)
    archives = isinstance(command, Archive)
    if item.archived == archives:
        return ()
    command.rests_on(item.version)
    if archives:
        rules.may_archive(command.name, state)
        return (NewEvent(rules.archived(command.name), command.at),)
    rules.check(item.definition, command.name, state)
    return (NewEvent(rules.restored(command.name), command.at),)


def _define(
    rules: Rules[DefinitionT, CatalogueT],
    command: Define[DefinitionT],
    item: Item[DefinitionT] | None,
    state: CatalogueT,
) -> Sequence[NewEvent]:
    if item is None:
        command.rests_on(None)
        if len(state.items) >= MAX_ITEMS:
            raise Refused(
                "too-many", 422, "There are too many of these.", f"at most {MAX_ITEMS} of a kind"
            )
    else:
        if item.archived:
            raise archived_refusal(rules.kind, command.name)
        if item.definition == command.definition:
            return ()
        command.rests_on(item.version)
    rules.check(command.definition, command.name, state)
    return (NewEvent(command.definition, command.at),)


def archived_refusal(kind: str, name: str) -> Refused:
    """The refusal to touch something that is archived."""
    return Refused("archived", 409, "It is archived.", f"restore the {kind} {name} first")


def check_titles(
    titles: Mapping[str, str], name: str, others: Iterable[tuple[str, Mapping[str, str]]]
) -> None:
    """Raise `Refused` when another living item is called the same in a language."""
    for other, theirs in others:
        if other == name:
            continue
        for language, title in titles.items():
            if theirs.get(language, "").casefold() == title.casefold():
                raise Refused(
                    "title-taken",
                    409,
                    "Another one has this title.",
                    f"{other} is called so in {language}",
                )
