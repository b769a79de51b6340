"""Where facts belong: at the survivor of their home.

Whatever order merges, reverts and adoptions are heard of, facts are brought there, so that each is
at exactly one living customer in the end.

Streams are closed and opened first; then what a stream holds and should not is moved out of it, in
chunks, each of them one transaction over both streams.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

import msgspec

from services.interaction.domain.held import Held, Kept
from services.interaction.domain.streams import customer_of
from shared.decider import NewEvent
from shared.events.moving import (
    AnyMoveReason,
    Direction,
    FactsMoved,
    MoveBegun,
    MovedFact,
    MoveEnded,
    StreamClosed,
    StreamReopened,
)
from shared.ids import derived_id

CHUNK_BYTES = 400_000
"""Of the facts of one event: it has to stay well below what Kafka takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Send everything meant for the stream to a customer from now on."""

    to: str
    reason: AnyMoveReason
    move: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    """Let things stay in the stream again."""

    move: str
    at: datetime


GateCommand = Close | Reopen


def decide_gate(command: GateCommand, closed: str | None) -> Sequence[NewEvent]:
    """The event, where it changes anything: who closes a stream first decides where it goes."""
    match command:
        case Close(to=to, reason=reason, move=move) if closed is None:
            return [NewEvent(StreamClosed(to=to, reason=reason, move=move), command.at)]
        case Reopen(move=move) if closed is not None:
            return [NewEvent(StreamReopened(move=move), command.at)]
        case _:
            return []


def root_of(customer: str, closed: Mapping[str, str | None]) -> str | None:
    """Who a customer lives on as; `closed` says for customers to whom their streams are closed.

    None where they go round in a circle: partitions that are read apart may show it for a moment.
    """
    seen: set[str] = set()
    while (onward := closed.get(customer)) is not None:
        if customer in seen:
            return None
        seen.add(customer)
        customer = onward
    return customer


def homes_of(held: Held) -> frozenset[str]:
    """The homes of the facts that a stream holds."""
    homes = {held.home_of(kept) for kept in held.facts.values()}
    return frozenset(home for home in homes if home is not None)


def misplaced(held: Held, roots: Mapping[str, str]) -> Mapping[str, Sequence[Kept]]:
    """The facts that belong elsewhere, by the customer with whom.

    `roots` says with whom a home lives on; a fact stays whose home is not in it. Those of somebody
    unknown belong to whom the stream was closed to, if it was. Receipts go before what was given
    back of them, in whatever order they came here: whoever reads on, hears of them first.
    """
    here = customer_of(held.stream)
    wrong: dict[str, list[Kept]] = {}
    for kept in sorted(held.facts.values(), key=lambda kept: kept.receipt is not None):
        home = held.home_of(kept)
        there = None if home is None else roots.get(home)
        if home is not None and there is not None and there != here:
            wrong.setdefault(there, []).append(replace(kept, home=home))
    return wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Facts on their way: `source` and `target` are streams; `by` who did it by hand."""

    id: str
    source: str
    target: str
    reason: AnyMoveReason
    by: str | None = None

    def begun(self, direction: Direction) -> MoveBegun:
        """The beginning, as the stream at one end tells it."""
        return MoveBegun(
            move=self.id,
            direction=direction,
            reason=self.reason,
            other=self._other(direction),
            by=self.by,
        )

    def ended(self, direction: Direction) -> MoveEnded:
        """The end, as the stream at one end tells it."""
        return MoveEnded(
            move=self.id, direction=direction, reason=self.reason, other=self._other(direction)
        )

    def _other(self, direction: Direction) -> str:
        return self.source if direction == "in" else self.target


def move_id(source: str, target: str, version: int) -> str:
    """The id of a move out of a stream at a version of it."""
    return derived_id("move", source, target, str(version))


def chunk_id(move: str, number: int) -> str:
    """The id of the command that moves a chunk, from 0."""
    return f"move|{move}|{number}"


def gate_id(stream: str) -> str:
    """The id that closing and opening a stream tell of.

    It is that of the move out of the stream of somebody unknown, too: there is one at most.
    """
    return move_id(stream, "", 0)


def chunks(facts: Iterable[Kept]) -> list[list[MovedFact]]:
    """The facts as they change hands, in parts that fit into events."""
    parts: list[list[MovedFact]] = []
    size = CHUNK_BYTES
    for kept in facts:
        if kept.home is None:
            raise ValueError("a fact that changes hands has a home")
        moved = kept.moved(kept.home)
        bytes_ = len(msgspec.json.encode(kept.data)) + 500
        if size + bytes_ > CHUNK_BYTES and (size or not parts):
            parts.append([])
            size = 0
        parts[-1].append(moved)
        size += bytes_
    return parts


def chunk_events(
    move: Move, parts: Sequence[Sequence[MovedFact]], at: datetime, *, first: bool, last: bool
) -> Mapping[str, Sequence[NewEvent]]:
    """The events of some chunks, by stream; of somebody unknown who is adopted the target's alone.

    Each of `parts` is an event.
    """
    directions: list[tuple[str, Direction]] = [(move.target, "in")]
    if move.reason != "adopted":
        directions.append((move.source, "out"))
    return {
        stream: [
            NewEvent(data, at)
            for data in chain(
                [move.begun(direction)] if first else [],
                (
                    FactsMoved(move=move.id, direction=direction, facts=tuple(part))
                    for part in parts
                ),
                [move.ended(direction)] if last else [],
            )
        ]
        for stream, direction in directions
    }


def ends(begun: MoveBegun, stream: str, at: datetime) -> Mapping[str, Sequence[NewEvent]]:
    """The events that end a move where it stands; `stream` is the end that told of `begun`."""
    incoming = begun.direction == "in"
    move = Move(
        id=begun.move,
        source=begun.other if incoming else stream,
        target=stream if incoming else begun.other,
        reason=begun.reason,
    )
    return {
        move.target: [NewEvent(move.ended("in"), at)],
        move.source: [NewEvent(move.ended("out"), at)],
    }
