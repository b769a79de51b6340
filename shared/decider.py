"""Decisions are pure: a command is checked against a folded state and gives events.

`Decider(initial, decide, evolve)` is three plain functions' worth of behaviour (the pattern is
Jérémie Chassaing's *functional event sourcing decider*). Time and ids come in with the command, so
that the same history and command give the same events in every process.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from shared.envelope import Causation
from shared.events.contract import EventData

CommandT = TypeVar("CommandT")
StateT = TypeVar("StateT")


class NewEvent(msgspec.Struct, frozen=True):
    """What a decision says has happened: the data, when it happened, and at which branch.

    `causation` is set where the event has another cause than the command being carried out.
    """

    data: EventData
    time: datetime
    branch: str | None = None
    causation: Causation | None = None


@dataclass(frozen=True, slots=True)
class Decider(Generic[CommandT, StateT]):
    """The behaviour of one kind of stream.

    `decide(command, state)` gives the events (none for a no-op) or raises `Refused`;
    `evolve(state, data)` gives the next state and never fails on an event of its own stream.
    """

    initial: Callable[[], StateT]
    decide: Callable[[CommandT, StateT], Sequence[NewEvent]]
    evolve: Callable[[StateT, EventData], StateT]

    def fold(self, history: Iterable[EventData], state: StateT | None = None) -> StateT:
        """The state after a history, from the initial state or the one that is given."""
        folded = self.initial() if state is None else state
        for data in history:
            folded = self.evolve(folded, data)
        return folded


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its path in the input, what is wrong, and what would be right."""

    field: str
    message: str


@dataclass(slots=True)
class Refused(Exception):  # noqa: N818 - a refusal is an answer, not a fault of the program
    """A command that cannot be carried out as things stand.

    `type` is the stable last segment of the problem type, `status` the HTTP status that fits,
    `title` the same sentence for every refusal of the type, `detail` this one's.
    """

    type: str
    status: int
    title: str
    detail: str | None = None
    errors: tuple[FieldError, ...] = ()
    extra: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The type and title, never the detail: it may quote what the caller sent."""
        return f"{self.type}: {self.title}"


def not_found(kind: str, name: str) -> Refused:
    """The refusal for a thing that is not there."""
    return Refused("not-found", 404, "There is no such thing here.", f"no {kind} {name}")


def invalid(field_path: str, message: str) -> Refused:
    """The refusal for one wrong field."""
    return Refused(
        "invalid", 422, "The input is not valid.", errors=(FieldError(field_path, message),)
    )
