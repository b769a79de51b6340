"""Records of an inbox that cannot be taken, kept as they were, with the reason, to be sent again.

The reason names types of problems and wrong fields, never a value: the original value is beside it,
for whoever may read the topic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.decider import FieldError


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record, where and when it was read, and why it was not taken.

    `topic` is its full name, `timestamp` milliseconds since 1970; `reason` is the last segment of
    the problem type, `title` its sentence.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    reason: str
    title: str
    errors: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class Buried:
    """A dead letter and its place among the others, from 0."""

    place: int
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many letters were sent again, and the place of the next one."""

    count: int
    next: int


class DeadLetters(Protocol):
    """The dead letters of one inbox. Every method raises `BrokerUnavailable`."""

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep them; when it returns, they are durable. Called again, they may be there twice."""
        ...

    async def listed(self, start: int, limit: int) -> Sequence[Buried]:
        """At most so many of them from a place on, in the order in which they came."""
        ...

    async def replay(self, start: int) -> Replayed:
        """Send what is there from a place on to the inbox again, each as it was."""
        ...
