"""What rules may ask about one customer, kept so that a question costs a search and not a scan.

A `View` holds every fact that is visible at its moment, none later. Receipts are asked for by
window, so each filter that some rule uses has a `Series`: times in order with running sums, built
from the receipts when it is first asked for, and extended by each receipt from then on.
"""

from bisect import bisect_right, insort
from collections.abc import Container

import msgspec
from msgspec import structs

from services.segment.rules.language.facts import FilterKey
from services.segment.rules.surroundings import NOWHERE
from services.segment.rules.words import Known
from shared.moments import unpacked, without_moment


class Receipt(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A receipt as rules see it.

    `time` is the instant at which it counts: when it happened, but never after it was recorded.
    `version` is its place in the customer's interaction stream; `total` is minor units; `coupon`
    says whether a line has a coupon's discount other than 0. `key` is what it is known by.
    """

    time: int
    version: int
    total: int
    coupon: bool
    branch: str | None
    key: int = 0


def by_time(receipt: Receipt) -> tuple[int, int]:
    """The order of receipts: time, then stream version."""
    return receipt.time, receipt.version


class Series:
    """Times (instants) in order, and sums: `sums[k]` is that of the first k totals.

    `rising` says that no total is negative, so that sums can be searched.
    """

    __slots__ = ("rising", "sums", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.sums: list[int] = [0]
        self.rising = True

    def add(self, time: int, total: int) -> None:
        """Count one more receipt; the order among equal times changes no answer."""
        times, sums = self.times, self.sums
        if total < 0:
            self.rising = False
        if not times or time >= times[-1]:
            times.append(time)
            sums.append(sums[-1] + total)
            return
        place = bisect_right(times, time)
        times.insert(place, time)
        sums.insert(place + 1, sums[place])
        for index in range(place + 1, len(sums)):
            sums[index] += total


class View:
    """One customer as rules see it; each fact of it lies at or before the moment of asking.

    `receipts` are those kept one by one, in order, and `let_go` the moments of the others; `count`,
    `total`, `first` and `last` are over all receipts ever, also those no longer kept. `customer` is
    the id, and `inside` holds the names of the segments that the customer is in.
    """

    __slots__ = (
        "_series", "count", "customer", "first", "inside", "known", "last", "let_go", "receipts",
        "surroundings", "total",
    )  # fmt: skip

    def __init__(self, receipts: list[Receipt] | None = None, inside: Container[str] = ()) -> None:
        self.receipts: list[Receipt] = [] if receipts is None else receipts
        self.known = Known()
        self.count = 0
        self.total = 0
        self.first: int | None = None
        self.last: int | None = None
        self.let_go = b""
        self.customer = ""
        self.inside = inside
        self.surroundings = NOWHERE
        self._series: dict[FilterKey | None, Series] = {}

    def add(self, receipt: Receipt) -> None:
        """Take in a receipt, in place."""
        time = receipt.time
        self.tally(receipt)
        receipts = self.receipts
        if not receipts or by_time(receipts[-1]) < by_time(receipt):
            receipts.append(receipt)
        else:
            insort(receipts, receipt, key=by_time)
        for key, series in self._series.items():
            if key is None or passes(receipt, key):
                series.add(time, receipt.total)

    def tally(self, receipt: Receipt) -> None:
        """Take a receipt into the totals alone."""
        time = receipt.time
        self.count += 1
        self.total += receipt.total
        self.first = time if self.first is None else min(self.first, time)
        self.last = time if self.last is None else max(self.last, time)

    def lower(self, key: int, total: int) -> bool:
        """Take something off a receipt; whether it is here."""
        index = self._index(key)
        if index is None:
            return False
        held = self.receipts[index]
        self.receipts[index] = structs.replace(held, total=held.total - total)
        self.total -= total
        self._series = {}
        return True

    def remove(self, key: int) -> bool:
        """Let a receipt never have happened; whether it was here."""
        index = self._index(key)
        if index is None:
            return False
        gone = self.receipts.pop(index)
        self._series = {}
        self._uncount(gone.total)
        return True

    def forget(self, time: int, total: int) -> None:
        """Let a receipt never have happened that is not kept one by one any more."""
        left = without_moment(self.let_go, time)
        self.let_go = self.let_go if left is None else left
        self._uncount(total)

    def _index(self, key: int) -> int | None:
        for index, receipt in enumerate(self.receipts):
            if receipt.key == key:
                return index
        return None

    def _uncount(self, total: int) -> None:
        self.count -= 1
        self.total -= total
        times = [receipt.time for receipt in (*self.receipts[:1], *self.receipts[-1:])]
        if self.let_go:
            gone = unpacked(self.let_go)
            times += [gone[0], gone[-1]]
        self.first, self.last = min(times, default=None), max(times, default=None)

    def series(self, key: FilterKey | None) -> Series:
        """The receipts that pass the filter (all for None)."""
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series()
            for receipt in self.receipts:
                if key is None or passes(receipt, key):
                    series.add(receipt.time, receipt.total)
        return series


def passes(receipt: Receipt, key: FilterKey) -> bool:
    """Whether a receipt satisfies every filter of a `where`."""
    branches, coupon, bounds = key
    return (
        (branches is None or receipt.branch in branches)
        and (coupon is None or receipt.coupon is coupon)
        and (bounds is None or bounds[0] <= receipt.total <= bounds[1])
    )
