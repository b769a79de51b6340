"""Events of facts that change hands: a person becomes known, two turn out to be one, or not.

A fact has a *home*, the customer to whom it was first attributed, and lives at the survivor of its
home. So a merge brings along what is at the loser, and its revert takes back what has its home
there, and nothing that came later. A move is told in the stream that it goes to (direction `in`)
and in the one that it comes from (`out`), in one transaction per chunk, between `move_begun` and
`move_ended`, at which totals and rules take it over. An unknown person's stream that is adopted is
closed as a whole, and says no more.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from shared.events.contract import EventData, Moment, Part, StreamGate, open_list

Direction = Annotated[Literal["in", "out"], open_list("whether the facts come to this stream")]
AnyMoveReason = Annotated[
    Literal["adopted", "merged", "reverted", "by_hand"], open_list("why facts change hands")
]


class StreamClosed(StreamGate):
    """Whatever is meant for this stream is a customer's from now on."""

    type: ClassVar[str] = "interaction.stream_closed.v1"
    to: str = Field(description="the customer")
    reason: AnyMoveReason
    move: str = Field(description="id of the change; of an adoption also that of its move")

    @property
    def redirect(self) -> str | None:
        """The customer."""
        return self.to


class StreamReopened(StreamGate):
    """What is meant for this stream stays here again."""

    type: ClassVar[str] = "interaction.stream_reopened.v1"
    move: str = Field(description="id of the change; of an adoption also that of its move")

    @property
    def redirect(self) -> str | None:
        """Nowhere."""
        return None


class MoveBegun(EventData):
    """Facts are about to change hands; what they change is taken over at `move_ended`."""

    type: ClassVar[str] = "interaction.move_begun.v1"
    move: str
    direction: Direction
    reason: AnyMoveReason
    other: str = Field(description="the stream at the other end")
    by: str | None = Field(default=None, description="id of the principal, of a move by hand")


class MovedFact(Part):
    """A fact as it was recorded: the type and data of its event, when, and where.

    Personal fields in `data` are sealed as they were in the fact's first stream.
    """

    fact: str
    type: str
    time: Moment
    recordedtime: Moment
    branch: str | None = None
    history: str | None = None
    home: str = Field(description="the customer to whom it was first attributed")
    hops: int = Field(ge=1, description="how often it has changed hands; the highest counts")
    data: dict[str, Any]


class FactsMoved(EventData):
    """A part of the facts of a move; a receipt goes with its returns, maybe in another part."""

    type: ClassVar[str] = "interaction.facts_moved.v1"
    room: ClassVar[int] = 40_000
    move: str
    direction: Direction
    facts: tuple[MovedFact, ...] = Field(min_length=1)


class MoveEnded(EventData):
    """All facts of a move have changed hands."""

    type: ClassVar[str] = "interaction.move_ended.v1"
    move: str
    direction: Direction
    reason: AnyMoveReason
    other: str = Field(description="the stream at the other end")


class FactWithdrawn(EventData):
    """A fact never happened: whatever it changed is taken back. Receipts are voided instead.

    `withdrawn` is the fact as it stood, without what is personal: folds take it as one that has
    moved out, and nothing takes it in.
    """

    type: ClassVar[str] = "interaction.fact_withdrawn.v1"
    room: ClassVar[int] = 40_000
    fact: str = Field(description="id of the fact")
    withdrawn: MovedFact
    reason: Annotated[Literal["import_reverted"], open_list("why it is withdrawn")]
    by: str | None = Field(default=None, description="id of the principal")


EVENTS: tuple[type[EventData], ...] = (
    StreamClosed,
    StreamReopened,
    MoveBegun,
    FactsMoved,
    MoveEnded,
    FactWithdrawn,
)
