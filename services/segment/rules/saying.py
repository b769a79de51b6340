"""What all words about a customer have in common, and what it takes for one to hold.

A word has a place (which field, which consent, which deal) and the version of the stream that says
it. Of two words at one place that of the higher version holds, whatever order they were learnt in.
A word that has parts, such as a deal, is held part by part: each part has a version of its own. So
what is known is the same in any order, and an event that tells one part needs no other.
"""

from abc import abstractmethod
from typing import Protocol, Self, TypeVar

import msgspec

_GENERATION_BITS = 32
_WITHIN_STREAM = (1 << _GENERATION_BITS) - 1


class Spoken(msgspec.Struct, array_like=True, frozen=True):
    """A word about a customer."""

    @property
    @abstractmethod
    def version(self) -> int:
        """That of the stream which says it."""

    @property
    def group(self) -> str:
        """What stands together with others of its type."""
        return ""

    @property
    @abstractmethod
    def place(self) -> str:
        """What it is about: one word of its type holds there."""

    @property
    @abstractmethod
    def touches(self) -> tuple[str, ...]:
        """What rules read of it (`Leaf.reads`)."""

    def after(self, held: Self) -> Self:
        """What holds of this and the word that was held at its place."""
        return held if held.version > self.version else self

    def besides(self, retold: Self) -> Self | None:  # noqa: ARG002 - a word of one part has no more
        """What it holds in parts of which a word at its place says nothing; None for nothing."""
        return None

    def event(self, customer: str) -> str:
        """The id of the event that says so."""
        return f"customer-{customer}@{self.version}"


class Part(Protocol):
    """A part of a word."""

    @property
    def version(self) -> int:
        """That of the stream which says it."""
        ...


PartT = TypeVar("PartT", bound=Part)


def later(told: PartT | None, held: PartT | None) -> PartT | None:
    """The part that holds; None where neither is told."""
    if told is None or held is None:
        return held if told is None else told
    return held if held.version > told.version else told


def earlier(told: int | None, held: int | None) -> int | None:
    """The earlier of two instants; None where neither is told."""
    return min((each for each in (told, held) if each is not None), default=None)


def along(stream: str, name: str, version: int) -> int:
    """The version of what goes on from stream to stream: later streams come after earlier ones.

    A stream is `<kind>-<name>`, and the next ones `<kind>-<name>-2` and so on.
    """
    _, _, generation = stream.partition(f"-{name}")
    number = int(generation[1:]) if generation[1:].isdigit() else 1
    return number << _GENERATION_BITS | version


def event_along(kind: str, name: str, version: int) -> str:
    """The id of the event that such a version is of."""
    generation = version >> _GENERATION_BITS
    stream = f"{kind}-{name}" if generation == 1 else f"{kind}-{name}-{generation}"
    return f"{stream}@{version & _WITHIN_STREAM}"
