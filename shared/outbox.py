"""An outbox: what is to be handed over to another system, kept until it was, or is given up.

A letter is handed over at least once. Whoever takes one has it for a time, and settles it by the
token of that take: somebody who was frozen meanwhile settles nothing. What is settled for good is
remembered for a month, so that the same letter put again is not sent again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

REMEMBERED = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be handed over. `id` is what the receiver tells repetitions apart by.

    `key` and `subject` are those of the stream that its end is told in, `correlation`, `cause` and
    `depth` its chain of causes; `attempts` were made before, and `token` names this take.
    """

    id: str
    url: str
    body: str
    about: str
    key: str
    subject: str | None = None
    branch: str | None = None
    correlation: str = ""
    cause: str = ""
    depth: int = 0
    attempts: int = 0
    token: str = field(default="", compare=False)


class Outbox(Protocol):
    """Where letters wait. On MongoDB and in memory it behaves the same (tests/contract)."""

    async def put(self, letters: Sequence[Letter]) -> None:
        """Keep the letters, due at once; one that is known already stays as it is."""
        ...

    async def take(self, seconds: float, limit: int) -> Sequence[Letter]:
        """Letters that are due, the earliest first, for so long; nobody else gets them then."""
        ...

    async def postpone(self, letter: Letter, seconds: float) -> bool:
        """Count an attempt, and be due again later; False when somebody else has it by now."""
        ...

    async def settle(self, letter: Letter) -> bool:
        """It was handed over, or given up; False when somebody else has it by now."""
        ...

    async def waiting(self) -> int:
        """How many are not settled."""
        ...
