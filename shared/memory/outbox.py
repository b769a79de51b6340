"""An outbox in a dict."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.clock import Clock
from shared.outbox import Letter


@dataclass(slots=True)
class MemoryOutbox:
    """Implements `Outbox`; `clock` stands for the database's."""

    clock: Clock
    _letters: dict[str, Letter] = field(default_factory=dict)
    _due: dict[str, datetime] = field(default_factory=dict)
    _tokens: "itertools.count[int]" = field(default_factory=itertools.count)

    async def put(self, letters: Sequence[Letter]) -> None:
        """Keep those that are not known."""
        for letter in letters:
            if letter.id not in self._letters:
                self._letters[letter.id] = letter
                self._due[letter.id] = self.clock.system_now()

    async def take(self, seconds: float, limit: int) -> Sequence[Letter]:
        """Letters that are due."""
        now = self.clock.system_now()
        due = sorted((moment, name) for name, moment in self._due.items() if moment <= now)
        taken = []
        for _, name in due[:limit]:
            letter = replace(self._letters[name], token=str(next(self._tokens)))
            self._letters[name] = letter
            self._due[name] = now + timedelta(seconds=seconds)
            taken.append(letter)
        return taken

    async def postpone(self, letter: Letter, seconds: float) -> bool:
        """Count an attempt, and be due again later."""
        if not self._has(letter):
            return False
        self._letters[letter.id] = replace(letter, attempts=letter.attempts + 1, token="")
        self._due[letter.id] = self.clock.system_now() + timedelta(seconds=seconds)
        return True

    async def settle(self, letter: Letter) -> bool:
        """Remember it, due no more."""
        if not self._has(letter):
            return False
        del self._due[letter.id]
        return True

    async def waiting(self) -> int:
        """How many are not settled."""
        return len(self._due)

    def _has(self, letter: Letter) -> bool:
        return letter.id in self._due and self._letters[letter.id].token == letter.token
