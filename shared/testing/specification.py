"""Deciders and their requirements in one sentence: given events, when a command, then events.

    given(decider, history).when(command).then(events)
    given(decider, history).when(command).then_refused("not-found")
    given(decider, history).when(command).then_nothing()

The form is that of emmett's `DeciderSpecification`; a failure shows both sides, one event a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

from shared.decider import Decider, NewEvent, Refused
from shared.events.contract import EventData

CommandT = TypeVar("CommandT")
StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True)
class Result:
    """What a command gave: its events, or its refusal."""

    events: tuple[NewEvent, ...]
    refusal: Refused | None

    def then(self, expected: Sequence[EventData | NewEvent]) -> None:
        """The events, in order: whole ones where a `NewEvent` is expected, else their data only."""
        if self.refusal is not None:
            _fail(_lines(expected), f"refused: {self.refusal!r}")
        actual = [
            event if isinstance(other, NewEvent) else event.data
            for event, other in zip(self.events, expected, strict=False)
        ]
        actual += self.events[len(actual) :]
        if actual != list(expected):
            _fail(_lines(expected), _lines(actual))

    def then_nothing(self) -> None:
        """Neither an event nor a refusal: things are already so."""
        self.then([])

    def then_refused(self, kind: str, *fields: str) -> Refused:
        """A refusal of the type, naming these wrong fields; it is returned."""
        if self.refusal is None:
            _fail(f"refused: {kind}", _lines(self.events))
        wrong = tuple(error.field for error in self.refusal.errors)
        if (self.refusal.type, wrong) != (kind, fields):
            _fail(f"refused: {kind} {fields}", f"refused: {self.refusal!r}")
        return self.refusal


@dataclass(frozen=True, slots=True)
class Given(Generic[CommandT, StateT]):
    """A decider with the history of its stream."""

    decider: Decider[CommandT, StateT]
    history: tuple[EventData, ...]

    def when(self, command: CommandT) -> Result:
        """Decide the command on the folded history."""
        try:
            events = self.decider.decide(command, self.decider.fold(self.history))
        except Refused as refusal:
            return Result((), refusal)
        return Result(tuple(events), None)


def given(
    decider: Decider[CommandT, StateT], history: Sequence[EventData] = ()
) -> Given[CommandT, StateT]:
    """Begin a specification."""
    return Given(decider, tuple(history))


def _lines(events: Sequence[EventData | NewEvent]) -> str:
    return "\n  ".join(["events:", *(repr(event) for event in events)]) if events else "no events"


def _fail(expected: str, actual: str) -> NoReturn:
    raise AssertionError(f"\nexpected {expected}\ngot {actual}")
