"""How many customers one definition, or what happens, may move before a person has to say yes."""

from dataclasses import dataclass
from datetime import timedelta

ALL = 100


@dataclass(frozen=True, slots=True)
class Brake:
    """More than `share` percent of at least `minimum` customers, within `period`, are held.

    A share of 100 holds nothing.
    """

    share: int = 20
    minimum: int = 1_000
    period: timedelta = timedelta(hours=1)

    def watches(self, base: int) -> bool:
        """Whether there are so many customers that it matters."""
        return self.share < ALL and base >= self.minimum

    def too_many(self, moved: int, base: int) -> bool:
        """Whether so many of the base are more than may be moved."""
        return moved * ALL > self.share * base

    def limit(self, base: int) -> int:
        """The fewest that are too many."""
        return self.share * base // ALL + 1
