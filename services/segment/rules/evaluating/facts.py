"""Verdicts of clauses about what happened."""

from bisect import bisect_left, bisect_right

from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.facts import FirstReceipt, Receipts
from services.segment.rules.language.forms import Bounds
from services.segment.rules.view import Series, View


def receipts(rule: Receipts, view: View, at: int) -> Verdict:
    """How many receipts, or what they sum to."""
    low, high = rule.compare.bounds
    counts = rule.aggregate == "count"
    if rule.span is None:
        value = view.count if counts else view.total
        return Verdict(low <= value <= high, None)
    series = view.series(None if rule.where is None else rule.where.key)
    start = bisect_right(series.times, at - rule.span)
    leaves = _next_by_count if counts else _next_by_sum
    value, end = leaves(series, start, (low, high))
    changes = None if end is None else end + rule.span
    return Verdict(low <= value <= high, changes)


def _next_by_count(series: Series, start: int, bounds: Bounds) -> tuple[int, int | None]:
    """The number of receipts from `start` on, and the time of the one whose leaving matters.

    With k left out, n − k remain: too many become few enough at n − k = high, and enough become
    too few at n − k = low − 1. Receipts of one time leave together.
    """
    times = series.times
    size = len(times)
    low, high = bounds
    value = size - start
    if value < low or high < 0:
        return value, None
    if value > high:
        time = times[size - high - 1]
        left = size - bisect_right(times, time, size - high - 1)
        return value, time if left >= low else None
    return value, times[size - low] if low >= 1 else None


def _next_by_sum(series: Series, start: int, bounds: Bounds) -> tuple[int, int | None]:
    """As `_next_by_count`, for the sum of totals."""
    times, sums = series.times, series.sums
    size = len(times)
    low, high = bounds
    value = sums[size] - sums[start]
    if not series.rising:
        return value, _next_by_scan(series, start, bounds)
    if value < low:
        return value, None
    if value > high:
        gone = bisect_left(sums, sums[size] - high, start + 1)
        if gone > size:
            return value, None
        time = times[gone - 1]
        left = sums[size] - sums[bisect_right(times, time, gone - 1)]
        return value, time if left >= low else None
    gone = bisect_right(sums, sums[size] - low, start + 1)
    return value, times[gone - 1] if gone <= size else None


def _next_by_scan(series: Series, start: int, bounds: Bounds) -> int | None:
    """The time whose leaving changes the truth, where negative totals forbid searching."""
    times, sums = series.times, series.sums
    size = len(times)
    low, high = bounds
    now = low <= sums[size] - sums[start] <= high
    while start < size:
        time = times[start]
        start = bisect_right(times, time, start)
        if (low <= sums[size] - sums[start] <= high) is not now:
            return time
    return None


def first_receipt(rule: FirstReceipt, view: View, at: int) -> Verdict:
    """Whether the first of all lies within the span."""
    if view.first is None or view.first <= at - rule.span:
        return Verdict(value=False, next=None)
    return Verdict(value=True, next=view.first + rule.span)
