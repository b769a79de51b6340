"""Static lists: each a stream `list-<name>` of its title and whether it is still of use.

Who is on it is told customer by customer (`listing.py`), so that no stream grows with the list.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.decider import Decider, NewEvent, Refused, invalid, not_found
from shared.events.contract import EventData
from shared.events.lists import ListArchived, ListCreated, ListRenamed

LONGEST_NAME = 60
LONGEST_TITLE = 200
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def list_stream(name: str) -> str:
    """The stream of a list."""
    return f"list-{name}"


@dataclass(frozen=True, slots=True)
class NameList:
    """Begin a list, or give it another title.

    `rests_on` is told the version that is there (None: there is none), and may refuse the change.
    """

    name: str
    title: str
    at: datetime
    by: str | None = None
    rests_on: Callable[[int | None], None] = lambda _version: None


@dataclass(frozen=True, slots=True)
class ArchiveList:
    """Use the list no more; `naming` are the segments whose rules name it."""

    name: str
    at: datetime
    by: str | None = None
    naming: Collection[str] = ()


Command = NameList | ArchiveList


@dataclass(frozen=True, slots=True)
class StaticList:
    """A list at a version of its stream; 0 where there is none."""

    version: int = 0
    title: str = ""
    archived: bool = False

    @property
    def stands(self) -> bool:
        """Whether it is there to be used."""
        return self.version > 0 and not self.archived


def _decide(command: Command, state: StaticList) -> Sequence[NewEvent]:
    match command:
        case NameList():
            return _name(command, state)
        case ArchiveList():
            return _archive(command, state)


def _name(command: NameList, state: StaticList) -> Sequence[NewEvent]:
    if len(command.name) > LONGEST_NAME or _NAME.fullmatch(command.name) is None:
        raise invalid(
            "name",
            f"is made of small letters, digits and single hyphens, at most {LONGEST_NAME} in all,"
            " such as opening-guests",
        )
    title = command.title.strip()
    if not 0 < len(title) <= LONGEST_TITLE:
        raise invalid("title", f"has 1 to {LONGEST_TITLE} characters")
    if state.archived:
        raise archived(command.name)
    if title == state.title:
        return ()
    command.rests_on(state.version or None)
    kind = ListRenamed if state.version else ListCreated
    return (NewEvent(kind(list=command.name, title=title, by=command.by), command.at),)


def _archive(command: ArchiveList, state: StaticList) -> Sequence[NewEvent]:
    if not state.version:
        raise not_found("list", command.name)
    if state.archived:
        return ()
    if command.naming:
        raise Refused(
            "list-named",
            409,
            "Segments name this list.",
            f"change or archive them first: {', '.join(command.naming)}",
        )
    return (NewEvent(ListArchived(list=command.name, by=command.by), command.at),)


def archived(name: str) -> Refused:
    """The refusal of a list that is of no use any more."""
    return Refused("list-archived", 409, "The list is archived.", f"begin another than {name}")


def _evolve(state: StaticList, data: EventData) -> StaticList:
    after = replace(state, version=state.version + 1)
    match data:
        case ListCreated() | ListRenamed():
            return replace(after, title=data.title)
        case ListArchived():
            return replace(after, archived=True)
        case _:
            message = f"{data.type} does not belong to the stream of a list"
            raise TypeError(message)


LISTS: Decider[Command, StaticList] = Decider(StaticList, _decide, _evolve)
