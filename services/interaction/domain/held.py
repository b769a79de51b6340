"""What facts a stream holds, by its commits: what its events brought, less what has left.

Moves need facts whole, with when and where they happened, and returns need their receipt; both read
the commits themselves. Personal texts stay sealed, since nothing here asks for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from services.interaction.domain.streams import customer_of
from shared.envelope import Envelope, decode
from shared.events.interaction import FACTS, ReceiptReturned, ReceiptVoided
from shared.events.moving import (
    FactsMoved,
    FactWithdrawn,
    MoveBegun,
    MovedFact,
    MoveEnded,
    StreamClosed,
    StreamReopened,
)
from shared.eventstore import Commit

_FACT_TYPES = frozenset(kind.type for kind in FACTS)
_ABOUT_RECEIPTS = frozenset({ReceiptReturned.type, ReceiptVoided.type})


@dataclass(frozen=True, slots=True)
class Kept:
    """A fact where it is now; `home` is None of one whose person was never known."""

    fact: str
    type: str
    time: datetime
    recorded: datetime
    branch: str | None
    history: str | None
    home: str | None
    hops: int
    data: dict[str, Any] = field(repr=False)

    @property
    def receipt(self) -> str | None:
        """The receipt that it takes back something of."""
        named: str | None = self.data.get("receipt") if self.type in _ABOUT_RECEIPTS else None
        return named

    def moved(self, home: str) -> MovedFact:
        """The fact as it changes hands once more, to somebody whose home it is if it has none."""
        return MovedFact(
            fact=self.fact,
            type=self.type,
            time=self.time,
            recordedtime=self.recorded,
            branch=self.branch,
            history=self.history,
            home=self.home or home,
            hops=self.hops + 1,
            data=self.data,
        )


@dataclass(slots=True)
class Held:
    """The facts of a stream, by id, and its version.

    `closed` says where it goes on; `gone` where facts went that have left it; `moves` are those
    that have begun and not ended; `adopted` the streams of somebody unknown who turned out to be
    this customer; `withdrawn` facts that never happened after all.
    """

    stream: str
    version: int = 0
    facts: dict[str, Kept] = field(default_factory=dict)
    closed: StreamClosed | None = None
    gone: dict[str, str] = field(default_factory=dict)
    moves: dict[str, MoveBegun] = field(default_factory=dict)
    adopted: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)

    @property
    def left(self) -> bool:
        """Whether it is that of somebody who became known, which is left as a whole."""
        return self.closed is not None and customer_of(self.stream) is None

    def whereabouts(self, fact: str) -> str | None:
        """The stream that has or had the fact, as far as is known here.

        None where it never was here, or went along when the stream was `left`.
        """
        if fact in self.gone:
            return self.gone[fact]
        if fact in self.facts:
            return None if self.left else self.stream
        return self.stream if fact in self.withdrawn else None

    def home_of(self, kept: Kept) -> str | None:
        """Where a fact belongs: what is given back, with its receipt, whenever that came."""
        receipt = self.facts.get(kept.receipt) if kept.receipt is not None else None
        home = kept.home if receipt is None else receipt.home
        return home or (self.closed.to if self.closed is not None else None)

    def of_receipt(self, receipt: str) -> list[Kept]:
        """What was taken back of a receipt, in the order in which it is held."""
        return [kept for kept in self.facts.values() if kept.receipt == receipt]


def held(stream: str, commits: Sequence[Commit]) -> Held:
    """What the stream holds after its commits."""
    result = Held(stream)
    for commit in commits:
        for text in commit.events:
            _take(result, decode(text))
    return result


def _take(result: Held, event: Envelope) -> None:
    result.version = event.streamversion
    if event.type in _FACT_TYPES:
        data = msgspec.json.decode(event.data)
        result.facts[data["fact"]] = Kept(
            fact=data["fact"],
            type=event.type,
            time=datetime.fromisoformat(event.time),
            recorded=datetime.fromisoformat(event.recordedtime),
            branch=event.branch,
            history=event.history,
            home=customer_of(event.stream),
            hops=0,
            data=data,
        )
    elif event.type == FactWithdrawn.type:
        gone = FactWithdrawn.model_validate_json(bytes(event.data))
        result.facts.pop(gone.withdrawn.fact, None)
        result.withdrawn.add(gone.withdrawn.fact)
    elif event.type == FactsMoved.type:
        _move(result, FactsMoved.model_validate_json(bytes(event.data)))
    elif event.type == MoveBegun.type:
        begun = MoveBegun.model_validate_json(bytes(event.data))
        result.moves[begun.move] = begun
        if begun.reason == "adopted":
            result.adopted.add(begun.other)
    elif event.type == MoveEnded.type:
        result.moves.pop(MoveEnded.model_validate_json(bytes(event.data)).move, None)
    elif event.type == StreamClosed.type:
        result.closed = StreamClosed.model_validate_json(bytes(event.data))
    elif event.type == StreamReopened.type:
        result.closed = None


def _move(result: Held, moved: FactsMoved) -> None:
    for fact in moved.facts:
        if moved.direction == "out":
            result.facts.pop(fact.fact, None)
            result.gone[fact.fact] = result.moves[moved.move].other
            continue
        result.gone.pop(fact.fact, None)
        result.facts[fact.fact] = Kept(
            fact=fact.fact,
            type=fact.type,
            time=fact.time,
            recorded=fact.recordedtime,
            branch=fact.branch,
            history=fact.history,
            home=fact.home,
            hops=fact.hops,
            data=fact.data,
        )


def rehomed(kept: Kept, home: str) -> Kept:
    """The fact with another home, as somebody has decided by hand."""
    return replace(kept, home=home)
