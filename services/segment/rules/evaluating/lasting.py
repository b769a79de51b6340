"""Truths of single things that a clause counts, each with the instant at which time changes it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.forms import Bounds


class Lasting(NamedTuple):
    """A truth, and the next instant at which time alone may change it (None: never)."""

    value: bool
    next: int | None

    @classmethod
    def all_of(cls, parts: Sequence[Self]) -> "Lasting":
        """Whether all are true: settled by one that is false for ever, else until any changes."""
        if any(not part.value and part.next is None for part in parts):
            return cls(value=False, next=None)
        changes = [part.next for part in parts if part.next is not None]
        return cls(all(part.value for part in parts), min(changes, default=None))


def until(begins: int, at: int) -> Lasting:
    """True from an instant on."""
    return Lasting(begins <= at, None if begins <= at else begins)


def within(time: int | None, span: int, at: int) -> Lasting:
    """Whether something that happened lies within a span."""
    if time is None or time <= at - span:
        return Lasting(value=False, next=None)
    return Lasting(value=True, next=time + span)


def counted(bounds: Bounds, parts: Iterable[Lasting]) -> Verdict:
    """Whether so many are true."""
    low, high = bounds
    count = 0
    changes: int | None = None
    for value, later in parts:
        count += value
        if later is not None and (changes is None or later < changes):
            changes = later
    return Verdict(low <= count <= high, changes)
