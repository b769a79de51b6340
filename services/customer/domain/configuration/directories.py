"""The directories that people choose from: types of customers and deals, sources of acquisition.

An entry is kept under `<directory>/<entry>`, so that all directories share one stream.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from services.customer.domain.configuration.catalogue import (
    Archive,
    Catalogue,
    Define,
    Restore,
    Rules,
    check_titles,
    decide_item,
)
from shared.decider import Decider, NewEvent, invalid, not_found
from shared.events.configuration import (
    Directory,
    DirectoryEntryArchived,
    DirectoryEntryDefined,
    DirectoryEntryRestored,
)
from shared.events.contract import EventData

DIRECTORY_NAMES: tuple[Directory, ...] = get_args(Directory)
DirectoryCommand = Define[DirectoryEntryDefined] | Archive | Restore


def key_of(directory: str, entry: str) -> str:
    """The name of an entry among those of all directories."""
    return f"{directory}/{entry}"


def directory_named(name: str) -> Directory:
    """The directory. Raises `Refused` (404) for another name."""
    for known in DIRECTORY_NAMES:
        if known == name:
            return known
    kind = "directory"
    raise not_found(kind, name)


@dataclass(frozen=True, slots=True)
class Directories(Catalogue[DirectoryEntryDefined]):
    """The entries of all directories."""

    def entries(self, directory: str) -> Iterator[DirectoryEntryDefined]:
        """The entries of one that can be chosen."""
        return (each for _, each in self.living() if each.directory == directory)

    def require(self, directory: Directory, entry: str, path: str) -> DirectoryEntryDefined:
        """An entry that may be chosen. Raises `Refused` that names the field at `path`."""
        key = key_of(directory, entry)
        if not self.lives(key):
            raise invalid(path, f"is no entry of the directory {directory}")
        return self.items[key].definition


def _check(definition: DirectoryEntryDefined, name: str, state: Directories) -> None:
    neighbours = state.entries(definition.directory)
    check_titles(
        definition.titles,
        name,
        ((key_of(each.directory, each.entry), each.titles) for each in neighbours),
    )


def _place(name: str) -> tuple[Directory, str]:
    directory, _, entry = name.partition("/")
    return directory_named(directory), entry


def _archived(name: str) -> EventData:
    directory, entry = _place(name)
    return DirectoryEntryArchived(directory=directory, entry=entry)


def _restored(name: str) -> EventData:
    directory, entry = _place(name)
    return DirectoryEntryRestored(directory=directory, entry=entry)


RULES: Rules[DirectoryEntryDefined, Directories] = Rules(
    kind="entry", archived=_archived, restored=_restored, check=_check
)


def decide(command: DirectoryCommand, state: Directories) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    return decide_item(RULES, command, state)


def evolve(state: Directories, data: EventData) -> Directories:
    """The directories after an event."""
    match data:
        case DirectoryEntryDefined(directory=directory, entry=entry):
            return state.with_definition(key_of(directory, entry), data)
        case DirectoryEntryArchived(directory=directory, entry=entry):
            return state.with_archived(key_of(directory, entry), archived=True)
        case DirectoryEntryRestored(directory=directory, entry=entry):
            return state.with_archived(key_of(directory, entry), archived=False)
        case _:
            message = f"directories have no event {data.type}"
            raise TypeError(message)


DIRECTORIES: Decider[DirectoryCommand, Directories] = Decider(Directories, decide, evolve)
