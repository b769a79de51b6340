"""The life of an import: open from its beginning to its end, and it has one of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from shared.decider import Decider, NewEvent, Refused, not_found
from shared.events.contract import EventData
from shared.events.imports import ImportBegun, ImportEnded

IMPORT_STREAM = "import-"


def import_stream_of(import_id: str) -> str:
    """The stream of an import."""
    return IMPORT_STREAM + import_id


@dataclass(frozen=True, slots=True)
class Import:
    """An import: `title` once it was begun, `facts` once it has ended."""

    title: str | None = None
    facts: int | None = None

    @property
    def begun(self) -> bool:
        """Whether there is such an import."""
        return self.title is not None

    @property
    def open(self) -> bool:
        """Whether facts may name it."""
        return self.begun and self.facts is None


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginImport:
    """Let facts name an import from now on; one that is there already is gone on with."""

    import_id: str
    title: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EndImport:
    """Say that all facts of an import are recorded.

    `facts` is the importer's own count of them, at least 0. The importer ends it after the last of
    its batches was answered: a batch still under way would come too late.
    """

    import_id: str
    facts: int
    at: datetime


ImportCommand = BeginImport | EndImport


def decide_import(command: ImportCommand, state: Import) -> Sequence[NewEvent]:
    """The events that follow from a command on an import, or its refusal."""
    match command:
        case BeginImport():
            return _begin(command, state)
        case EndImport():
            return _end(command, state)
        case _:
            assert_never(command)


def _begin(command: BeginImport, state: Import) -> Sequence[NewEvent]:
    if not state.begun:
        begun = ImportBegun(import_id=command.import_id, title=command.title)
        return [NewEvent(begun, command.at)]
    if state.title != command.title:
        raise Refused(
            "import-differs",
            409,
            "There is another import of this id.",
            "begin it with the same title to go on with it, or choose another id",
        )
    return []


def _end(command: EndImport, state: Import) -> Sequence[NewEvent]:
    if not state.begun:
        kind = "import"
        raise not_found(kind, command.import_id)
    if not state.open:
        return []
    return [NewEvent(ImportEnded(import_id=command.import_id, facts=command.facts), command.at)]


def evolve_import(state: Import, data: EventData) -> Import:
    """The import after an event."""
    match data:
        case ImportBegun(title=title):
            return replace(state, title=title)
        case ImportEnded(facts=facts):
            return replace(state, facts=facts)
        case _:
            message = f"an import has no event {data.type}"
            raise TypeError(message)


IMPORTS: Decider[ImportCommand, Import] = Decider(Import, decide_import, evolve_import)
