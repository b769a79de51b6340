"""What customers bought after a campaign spoke to them, or kept silent to compare.

A receipt counts for a message when its time is within the message's window: from the moment at
which it was sent (or held out) until so many days later. For a campaign and a customer it counts
once, however many messages' windows it is in. Everything is a sum: a return takes off at the
receipt's own time, a void takes the receipt away, and a fact that changes hands goes from one
customer and comes to another, so nothing depends on what was heard of first.

Purchases are packed: moment (milliseconds since the epoch), receipts, turnover in minor units,
eight bytes each, in the order of the moments; what adds up to nothing is not there.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

DAY = 24 * 60 * 60 * 1_000
"""Milliseconds. Windows are so many times 24 hours, whatever clocks do meanwhile."""
_FIELDS = 3
_WIDTH = 8 * _FIELDS

Arm = Literal["sent", "held_out"]


@dataclass(frozen=True, slots=True)
class Window:
    """What a message of a campaign was, and from when on until before when receipts count."""

    campaign: str
    arm: Arm
    variant: str | None
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Bought:
    """What one customer bought within the windows of one arm of a campaign.

    Without a `variant` it is of all of them. `comparable`: whoever was both sent to and held out
    tells nothing of the difference, nor does who got several variants of that between these.
    """

    campaign: str
    arm: Arm
    variant: str | None
    comparable: bool
    receipts: int
    turnover: int


def with_purchase(packed: bytes, at: int, receipts: int, turnover: int) -> bytes:
    """So much more at a moment; less than 0 takes away."""
    numbers = memoryview(packed).cast("q")
    place = bisect_left(range(len(numbers) // _FIELDS), at, key=lambda i: numbers[i * _FIELDS])
    begin = end = place * _WIDTH
    if place * _FIELDS < len(numbers) and numbers[place * _FIELDS] == at:
        receipts += numbers[place * _FIELDS + 1]
        turnover += numbers[place * _FIELDS + 2]
        end += _WIDTH
    made = b""
    if receipts or turnover:
        made = b"".join(
            number.to_bytes(8, "little", signed=True) for number in (at, receipts, turnover)
        )
    return packed[:begin] + made + packed[end:]


def joined(several: Iterable[bytes]) -> bytes:
    """The purchases of all records of one person."""
    together = b""
    for packed in several:
        numbers = memoryview(packed).cast("q").tolist()
        for place in range(0, len(numbers), _FIELDS):
            together = with_purchase(together, *numbers[place : place + _FIELDS])
    return together


def _within(packed: bytes, windows: Iterable[Window]) -> tuple[int, int]:
    """Receipts and turnover in the union of windows."""
    numbers = memoryview(packed).cast("q")
    moments = range(len(numbers) // _FIELDS)
    receipts = turnover = last = 0
    for window in sorted(windows, key=lambda each: each.begin):
        first = bisect_left(moments, window.begin, key=lambda i: numbers[i * _FIELDS])
        end = bisect_left(moments, window.end, key=lambda i: numbers[i * _FIELDS])
        for index in range(max(first, last), end):
            receipts += numbers[index * _FIELDS + 1]
            turnover += numbers[index * _FIELDS + 2]
        last = max(last, end)
    return receipts, turnover


def bought(windows: Sequence[Window], purchases: bytes) -> Sequence[Bought]:
    """What a customer bought for each campaign, arm and variant, in a fixed order."""
    found = []
    for campaign in sorted({each.campaign for each in windows}):
        mine = [each for each in windows if each.campaign == campaign]
        mixed = len({each.arm for each in mine}) > 1
        for arm in ("sent", "held_out"):
            of_arm = [each for each in mine if each.arm == arm]
            if not of_arm:
                continue
            of_all = Bought(campaign, of_arm[0].arm, None, not mixed, *_within(purchases, of_arm))
            found.append(of_all)
            variants = {each.variant for each in of_arm}
            for variant in sorted(name for name in variants if name is not None):
                own = [each for each in of_arm if each.variant == variant]
                alone = not mixed and len(variants) == 1
                sums = _within(purchases, own)
                found.append(Bought(campaign, of_arm[0].arm, variant, alone, *sums))
    return found
