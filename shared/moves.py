"""Facts that change hands, as folds per customer read them (`shared.events.moving`).

Such a fold keeps what the facts of a move add up to, apart, and takes it over at `move_ended`: as
if they had come, or as if they had never been here.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from shared.envelope import Zoned
from shared.events.moving import FactsMoved, MoveEnded


class Moved(msgspec.Struct, frozen=True, gc=False):
    """A fact that changes hands; `data` is that of its first event."""

    fact: str
    type: str
    time: Zoned
    recordedtime: Zoned
    data: msgspec.Raw
    branch: str | None = None
    history: str | None = None


class Moving(msgspec.Struct, frozen=True):
    """Of `interaction.facts_moved`."""

    move: str
    facts: tuple[Moved, ...]


class Withdrawn(msgspec.Struct, frozen=True):
    """Of `interaction.fact_withdrawn`: a fold takes the fact as one that has gone, at once."""

    withdrawn: Moved

    @property
    def facts(self) -> tuple[Moved, ...]:
        """The fact, as `MovedFacts` reads it."""
        return (self.withdrawn,)


class Ended(msgspec.Struct, frozen=True, gc=False):
    """Of `interaction.move_ended`."""

    move: str
    direction: str

    @property
    def comes(self) -> bool:
        """Whether the facts are here from now on; else they have gone."""
        return self.direction == "in"


MOVES: Mapping[str, type[msgspec.Struct]] = {
    FactsMoved.type: Moving,
    MoveEnded.type: Ended,
}
"""What a fold reads of moves."""


class Fact(msgspec.Struct, frozen=True, gc=False):
    """A fact with what is read of its data, whichever event told it."""

    fact: str
    type: str
    time: datetime
    recorded: datetime
    branch: str | None
    data: Any


class MovedFacts:
    """Reads those facts of a move that a fold knows, by the structs of their first events."""

    def __init__(self, reads: Mapping[str, type[msgspec.Struct]]) -> None:
        """`reads` maps the types of facts to what is read of them."""
        self._decoders: Mapping[str, Callable[[msgspec.Raw], Any]] = {
            kind: msgspec.json.Decoder(struct).decode for kind, struct in reads.items()
        }

    def of(self, moving: Moving | Withdrawn) -> Iterator[Fact]:
        """The facts in their order. Raises `msgspec.DecodeError` where one cannot be read."""
        for each in moving.facts:
            decode = self._decoders.get(each.type)
            if decode is not None:
                yield Fact(
                    each.fact,
                    each.type,
                    each.time,
                    each.recordedtime,
                    each.branch,
                    decode(each.data),
                )
