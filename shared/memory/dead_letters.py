"""Dead letters in a list."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.dead_letters import Buried, DeadLetter, Replayed


@dataclass(slots=True)
class MemoryDeadLetters:
    """Implements `DeadLetters`; `inbox` is what was sent again: key and value."""

    letters: list[DeadLetter] = field(default_factory=list)
    inbox: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep them."""
        self.letters += letters

    async def listed(self, start: int, limit: int) -> Sequence[Buried]:
        """Those from a place on."""
        found = list(enumerate(self.letters))[start : start + limit]
        return [Buried(place, letter) for place, letter in found]

    async def replay(self, start: int) -> Replayed:
        """Send them again."""
        found = self.letters[start:]
        self.inbox += [(letter.key, letter.value) for letter in found]
        return Replayed(len(found), start + len(found))
