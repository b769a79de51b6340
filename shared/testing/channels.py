"""A channel for tests: it notes what it was given and answers as it is told."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

MessageT = TypeVar("MessageT")
ReceiptT = TypeVar("ReceiptT")


@dataclass(slots=True)
class ScriptedChannel(Generic[MessageT, ReceiptT]):
    """Answers each hand-over by `answer`, which may wait or raise; `taken` are the hand-overs."""

    answer: Callable[[MessageT], Awaitable[ReceiptT]]
    deduplicates: timedelta | None = None
    name: str = "scripted"
    per_second: float | None = None
    at_once: int = 50
    taken: list[MessageT] = field(default_factory=list)

    async def send(self, message: MessageT) -> ReceiptT:
        """Note the hand-over, and answer it."""
        self.taken.append(message)
        return await self.answer(message)
