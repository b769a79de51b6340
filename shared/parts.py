"""How much to write at once where a deadline stands: a slow server gets less, a quick one more.

A batch that is too much for a server would be so at every try. So a part that did not make it in
time is halved, and only a whole part that took a quarter of the time or less is doubled.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class PartSize:
    """The size of the next part, at most `most`; it learns from those that were written."""

    size: int
    most: int

    def took(self, count: int, share: float) -> None:
        """A part of `count` was written in this share of its time."""
        if count >= self.size and share < 1 / 4:
            self.size = min(2 * self.size, self.most)

    def failed(self, count: int) -> None:
        """A part of `count` was not written in its time."""
        self.size = max(1, count // 2)
