"""Statuses of customers, and the path between them.

Five are there from the start, without any event, so that a chain that configures nothing has a
working path. An event on one of them takes it over; the path is told whole each time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from services.customer.domain.configuration.catalogue import (
    Archive,
    Catalogue,
    Define,
    Item,
    Restore,
    RestsOn,
    Rules,
    check_titles,
    decide_item,
    whatever,
)
from shared.decider import Decider, NewEvent, Refused, invalid
from shared.events.configuration import (
    Move,
    StatusArchived,
    StatusDefined,
    StatusMeaning,
    StatusPathDefined,
    StatusRestored,
)
from shared.events.contract import EventData

MAX_MOVES = 1000


def _from_the_start(name: str, meaning: StatusMeaning, **titles: str) -> Item[StatusDefined]:
    return Item(StatusDefined(status=name, titles=titles, meaning=meaning))


DEFAULTS: Mapping[str, Item[StatusDefined]] = MappingProxyType(
    {
        "new": _from_the_start("new", "new", en="New", ru="Новый"),
        "potential": _from_the_start("potential", "lead", en="Potential", ru="Потенциальный"),
        "active": _from_the_start("active", "active", en="Active", ru="Активный"),
        "contract_signed": _from_the_start(
            "contract_signed", "signed", en="Contract signed", ru="Договор подписан"
        ),
        "lapsed": _from_the_start("lapsed", "lapsed", en="Lapsed", ru="Ушедший"),
    }
)
_STEPS = {
    "new": ("potential", "active", "contract_signed", "lapsed"),
    "potential": ("active", "contract_signed", "lapsed"),
    "active": ("contract_signed", "lapsed"),
    "contract_signed": ("active", "lapsed"),
    "lapsed": ("potential", "active", "contract_signed"),
}
DEFAULT_PATH = StatusPathDefined(
    initial="new",
    moves=tuple(
        Move(before=before, after=after) for before, afters in _STEPS.items() for after in afters
    ),
)
"""Forward, steps may be skipped; who came back goes on from where they like but `new`."""


@dataclass(frozen=True, slots=True)
class Statuses(Catalogue[StatusDefined]):
    """All statuses by name, and the path between them."""

    items: Mapping[str, Item[StatusDefined]] = field(default_factory=lambda: DEFAULTS)
    path: StatusPathDefined = DEFAULT_PATH
    path_version: int = 0

    @property
    def initial(self) -> str:
        """The status of a new customer."""
        return self.path.initial

    def meaning(self, meaning: StatusMeaning) -> str | None:
        """The living status that rules take for this, if there is one."""
        for name, each in self.living():
            if each.meaning == meaning:
                return name
        return None

    def allowed(self, before: str | None) -> tuple[str, ...]:
        """Where a customer may go from a status (None: that of nobody yet)."""
        if before is None:
            return (self.initial,)
        return tuple(move.after for move in self.path.moves if move.before == before)

    def require_move(self, before: str | None, after: str, path: str) -> None:
        """Raise `Refused` for a status that does not live, and for a move off the path."""
        if not self.lives(after):
            raise invalid(path, "is no status")
        # Whose status was archived meanwhile may go anywhere: no path leads on from it.
        if before is not None and not self.lives(before):
            return
        allowed = self.allowed(before)
        if after not in allowed:
            raise Refused(
                "off-path",
                409,
                "The path does not lead there.",
                f"from here it leads to: {', '.join(allowed) or 'nowhere'}",
            )


@dataclass(frozen=True, slots=True)
class DefinePath:
    """Give the path its (new) form."""

    path: StatusPathDefined
    at: datetime
    rests_on: RestsOn = whatever


StatusCommand = Define[StatusDefined] | Archive | Restore | DefinePath


def _check(definition: StatusDefined, name: str, state: Statuses) -> None:
    check_titles(definition.titles, name, ((other, each.titles) for other, each in state.living()))
    holder = None if definition.meaning is None else state.meaning(definition.meaning)
    if holder not in (None, name):
        raise Refused(
            "meaning-taken",
            409,
            "Another status has this meaning.",
            f"{holder} means {definition.meaning}",
        )


def _may_archive(name: str, state: Statuses) -> None:
    path = state.path
    if path.initial == name or any(name in (move.before, move.after) for move in path.moves):
        raise Refused(
            "on-the-path",
            409,
            "The path leads through this status.",
            "take it out of the path first",
        )


RULES: Rules[StatusDefined, Statuses] = Rules(
    kind="status",
    archived=lambda name: StatusArchived(status=name),
    restored=lambda name: StatusRestored(status=name),
    check=_check,
    may_archive=_may_archive,
)


def decide(command: StatusCommand, state: Statuses) -> Sequence[NewEvent]:
    """The events that follow from a command, or its refusal."""
    if isinstance(command, DefinePath):
        return _define_path(command, state)
    return decide_item(RULES, command, state)


def _define_path(command: DefinePath, state: Statuses) -> Sequence[NewEvent]:
    path = command.path
    if path == state.path:
        return ()
    command.rests_on(state.path_version)
    if len(path.moves) > MAX_MOVES:
        raise invalid("moves", f"at most {MAX_MOVES} moves")
    if not state.lives(path.initial):
        raise invalid("initial", "is no living status")
    seen = set()
    for number, move in enumerate(path.moves):
        for end in ("before", "after"):
            if not state.lives(getattr(move, end)):
                raise invalid(f"moves.{number}.{end}", "is no living status")
        if move.before == move.after or move in seen:
            raise invalid(f"moves.{number}", "leads from one status to another, and stands once")
        seen.add(move)
    return (NewEvent(path, command.at),)


def evolve(state: Statuses, data: EventData) -> Statuses:
    """The statuses after an event."""
    match data:
        case StatusDefined(status=name):
            return state.with_definition(name, data)
        case StatusArchived(status=name):
            return state.with_archived(name, archived=True)
        case StatusRestored(status=name):
            return state.with_archived(name, archived=False)
        case StatusPathDefined():
            after = state.counted()
            return replace(after, path=data, path_version=after.version)
        case _:
            message = f"statuses have no event {data.type}"
            raise TypeError(message)


STATUSES: Decider[StatusCommand, Statuses] = Decider(Statuses, decide, evolve)
