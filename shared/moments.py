"""Moments in order, eight bytes each: how a document remembers when things happened.

To give a first and a last moment back when something turns out not to have happened, all of them
must be known. They are milliseconds since the epoch, since events carry no more, signed and little
endian. The same moment may be there several times, and is taken away one at a time.
"""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

WIDTH = 8
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

if sys.byteorder != "little":
    message = "moments are packed for machines that are little endian"
    raise ImportError(message)


def milliseconds(moment: datetime) -> int:
    """The moment as it is packed."""
    return (moment - EPOCH) // MILLISECOND


def moment_of(packed: int) -> datetime:
    """The moment of its milliseconds."""
    return EPOCH + packed * MILLISECOND


def unpacked(packed: bytes) -> Sequence[int]:
    """The milliseconds, in order; nothing is copied."""
    view: Sequence[int] = memoryview(packed).cast("q")
    return view


def with_moment(packed: bytes, at: int) -> bytes:
    """One more moment."""
    new = at.to_bytes(WIDTH, "little", signed=True)
    if not packed or int.from_bytes(packed[-WIDTH:], "little", signed=True) <= at:
        return packed + new
    place = bisect_right(unpacked(packed), at) * WIDTH
    return packed[:place] + new + packed[place:]


def without_moment(packed: bytes, at: int) -> bytes | None:
    """One moment less; None where it is not there."""
    moments = unpacked(packed)
    index = bisect_left(moments, at)
    if index == len(moments) or moments[index] != at:
        return None
    place = index * WIDTH
    return packed[:place] + packed[place + WIDTH :]


def counted(here: bytes, owed: bytes, at: int, sign: int) -> tuple[bytes, bytes]:
    """A moment comes (`sign` 1) or goes (-1); one that goes before it has come is owed.

    Gives the moments that are here and those that are owed. Coming and going commute.
    """
    plus, minus = (here, owed) if sign > 0 else (owed, here)
    settled = without_moment(minus, at) if minus else None
    if settled is None:
        plus = with_moment(plus, at)
    else:
        minus = settled
    return (plus, minus) if sign > 0 else (minus, plus)


def within(packed: bytes, begin: int, end: int) -> int:
    """How many moments there are from `begin` on and before `end`."""
    if not packed:
        return 0
    moments = unpacked(packed)
    return bisect_left(moments, end) - bisect_left(moments, begin)


def ends_of(packed: bytes) -> tuple[datetime | None, datetime | None]:
    """The first and the last moment, where there is any."""
    if not packed:
        return None, None
    moments = unpacked(packed)
    return moment_of(moments[0]), moment_of(moments[-1])
