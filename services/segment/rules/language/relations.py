"""Clauses about how the customer stands to others: its segments, its lists, the share it fell in.

A segment may name others, as long as no segment comes round to itself (`rules/graph.py`).
"""

from collections.abc import Iterator
from functools import cached_property
from hashlib import blake2b
from typing import Literal

from pydantic import Field

from services.segment.rules.language.forms import Leaf, Name


def segment_read(name: str) -> str:
    """What entering or leaving a segment touches."""
    return f"segment {name}"


class InSegment(Leaf):
    """The customer is in another segment at this moment, or is not."""

    kind: Literal["segment"]
    segment: Name = Field(description="the name of a segment that is not archived")
    inside: bool = True

    def reads(self) -> Iterator[str]:
        """The one segment."""
        yield segment_read(self.segment)


def list_read(name: str) -> str:
    """What being put on a list, or taken off, touches."""
    return f"list {name}"


class OnList(Leaf):
    """The customer is on a static list at this moment, or is not."""

    kind: Literal["list"]
    list: Name = Field(description="the name of a list that is not archived")
    inside: bool = True

    def reads(self) -> Iterator[str]:
        """The one list."""
        yield list_read(self.list)


_DRAWS = 2**64


class RandomShare(Leaf):
    """The customer is among so many percent of all, drawn once and for ever.

    A customer's draw is the first 64 bits of BLAKE2b (RFC 7693) of the seed, a line feed and the
    customer's id, read as a big-endian number; the share is those whose draw lies below so many
    hundredths of 2^64. So a smaller share lies within a larger one of the same seed, and shares of
    different seeds know nothing of each other.
    """

    kind: Literal["random"]
    percent: int = Field(ge=1, le=99)
    seed: Name | None = Field(default=None, description="the same for all rules when left out")

    @cached_property
    def _prefix(self) -> bytes:
        return f"{self.seed or ''}\n".encode()

    def draws(self, customer: str) -> bool:
        """Whether the customer is in the share."""
        drawn = blake2b(self._prefix + customer.encode(), digest_size=8).digest()
        return int.from_bytes(drawn, "big") * 100 < self.percent * _DRAWS

    def reads(self) -> Iterator[str]:
        """Nothing that ever changes."""
        yield from ()
