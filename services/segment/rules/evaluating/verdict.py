"""What comes of evaluating a clause."""

from typing import NamedTuple


class Verdict(NamedTuple):
    """A truth, and the next instant at which time alone may change it (None: never)."""

    value: bool
    next: int | None
