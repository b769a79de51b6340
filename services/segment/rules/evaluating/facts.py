"""Verdicts of clauses about what happened."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt

from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.facts import Aggregate, Facts
from services.segment.rules.language.forms import Bounds, Comparison
from services.segment.rules.passing import filters_of
from services.segment.rules.series import COUNT, Measure, Series
from services.segment.rules.view import View

MOST_STEPS = 1_000
"""Facts that are looked beyond for the one whose leaving matters; then an earlier one will do."""

Compares = Callable[[int, int], bool]
_COMPARES: Mapping[str, Compares] = {">=": ge, ">": gt, "<=": le, "<": lt, "==": eq}
_FALSE = Verdict(value=False, next=None)


def facts(rule: Facts, view: View, at: int) -> Verdict:
    """What facts of a kind come to, or when the first or last of them was."""
    return _BY_AGGREGATE[rule.aggregate](rule, view, at)


def _figure(rule: Facts, view: View, at: int) -> Verdict:
    """How many facts, or what they sum to."""
    low, high = rule.bounds
    counts = rule.aggregate == "count"
    if rule.by_totals:
        tally = view.tally(rule.kind)
        value = tally.count if counts else tally.total
        return Verdict(low <= value <= high, None)
    series = view.series(rule.kind, rule.where, COUNT if counts else Measure(rule.number))
    start, end = window(rule, series, at)
    if rule.span is None:
        value = end - start if counts else series.sums[end] - series.sums[start]
        return Verdict(low <= value <= high, None)
    leaves = _next_by_count if counts else next_by_sum
    value, gone = leaves(series, start, (low, high))
    return Verdict(low <= value <= high, None if gone is None else gone + rule.span)


def window(rule: Facts, series: Series, at: int) -> tuple[int, int]:
    """The places of the first fact inside the window, and of the first behind it."""
    times = series.times
    if rule.span is not None:
        return bisect_right(times, at - rule.span), len(times)
    if rule.between is None:
        return 0, len(times)
    begin, end = rule.between.bounds
    start = bisect_left(times, begin)
    return start, bisect_left(times, end, start)


def _next_by_count(series: Series, start: int, bounds: Bounds) -> tuple[int, int | None]:
    """The number of facts from `start` on, and the time of the one whose leaving matters.

    With k left out, n − k remain: too many become few enough at n − k = high, and enough become
    too few at n − k = low − 1. Facts of one time leave together.
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


def next_by_sum(series: Series, start: int, bounds: Bounds) -> tuple[int, int | None]:
    """As `_next_by_count`, for the sum of numbers; the time that it gives is of a fact."""
    times, sums = series.times, series.sums
    size = len(times)
    low, high = bounds
    value = sums[size] - sums[start]
    if not series.rising:
        return value, _departure(
            series, start, lambda place: low <= sums[size] - sums[place] <= high
        )
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


def _departure(series: Series, start: int, holds: Callable[[int], bool]) -> int | None:
    """The time of the fact whose leaving changes the truth of what is asked from a place on.

    It may be one before that: looking on from there finds it.
    """
    times = series.times
    size = len(times)
    now = holds(start)
    time = None
    for _ in range(MOST_STEPS):
        if start >= size:
            return None
        time = times[start]
        start = bisect_right(times, time, start)
        if holds(start) is not now:
            return time
    return time


def _extreme(rule: Facts, view: View, at: int) -> Verdict:
    """The least or the greatest number."""
    low, high = rule.bounds
    series = view.series(rule.kind, rule.where, Measure(rule.number))
    least = rule.aggregate == "min"
    start, end = window(rule, series, at)
    if rule.span is None:
        numbers = series.numbers[start:end]
        extreme = min(numbers, default=None) if least else max(numbers, default=None)
        return Verdict(extreme is not None and low <= extreme <= high, None)
    extremes = series.lowest if least else series.highest
    return _scanned(
        rule.span, series, start, lambda place: place < end and low <= extremes[place] <= high
    )


def _average(rule: Facts, view: View, at: int) -> Verdict:
    """The average number."""
    series = view.series(rule.kind, rule.where, Measure(rule.number))
    start, end = window(rule, series, at)
    compares, wanted = average_of(rule)
    if rule.span is None:
        total = series.sums[end] - series.sums[start]
        return Verdict(start < end and compares(total, wanted * (end - start)), None)
    value, gone = next_by_average(series, start, compares, wanted)
    return Verdict(value, None if gone is None else gone + rule.span)


def average_of(rule: Facts) -> tuple[Compares, int]:
    """How a clause compares an average, and with what, as its numbers are counted."""
    compare = _compare(rule)
    return _COMPARES[compare.op], compare.value * rule.scale


def next_by_average(
    series: Series, start: int, compares: Compares, wanted: int
) -> tuple[bool, int | None]:
    """Whether the average from a place on compares so, and when that changes, as in `_departure`.

    Nothing is rounded: both sides are taken times the count. Nothing has no average.
    """
    times, sums = series.times, series.sums
    size = len(times)
    if start >= size:
        return False, None
    total, place, time = sums[size], start, times[start]
    now = compares(total - sums[place], wanted * (size - place))
    for _ in range(MOST_STEPS):
        time = times[place]
        place = bisect_right(times, time, place)
        if place >= size:
            return now, time if now else None
        if compares(total - sums[place], wanted * (size - place)) is not now:
            return now, time
    return now, time


def _distinct(rule: Facts, view: View, at: int) -> Verdict:
    """How many different things."""
    low, high = rule.bounds
    series = view.series(rule.kind, rule.where, different(rule, view))
    start, end = window(rule, series, at)
    if rule.span is None:
        count = len({thing for things in series.things[start:end] for thing in things})
        return Verdict(low <= count <= high, None)
    counts = series.different
    return _scanned(rule.span, series, start, lambda place: low <= counts[place] <= high)


def different(rule: Facts, view: View) -> Measure:
    """The things that are told apart; days are those of the chain's zone."""
    if rule.number == "day":
        return Measure(rule.number, distinct=True, zone=view.surroundings.zone)
    return Measure(rule.number, distinct=True)


def _scanned(span: int, series: Series, start: int, holds: Callable[[int], bool]) -> Verdict:
    gone = _departure(series, start, holds)
    return Verdict(holds(start), None if gone is None else gone + span)


def _end(rule: Facts, view: View, at: int) -> Verdict:
    """Whether the first, or last, lies in the window, and is as it is to be."""
    if rule.by_totals:
        time = view.tally(rule.kind).first
    else:
        series = view.series(rule.kind, rule.where, COUNT)
        place = 0 if rule.aggregate == "first" else -1
        end = series.facts[place] if series.facts else None
        time = None if end is None else end.time
        if end is None or (rule.aggregate == "first" and _was_before(rule, view, end.time)):
            return _FALSE
        if rule.having is not None:
            checks = filters_of(rule.kind, rule.having, view.names.all)
            if not all(check(end, view.details) for check in checks):
                return _FALSE
    if time is None:
        return _FALSE
    if rule.between is not None:
        begin, behind = rule.between.bounds
        return Verdict(begin <= time < behind, None)
    if rule.span is None or time <= at - rule.span:
        return _FALSE
    return Verdict(value=True, next=time + rule.span)


def _was_before(rule: Facts, view: View, time: int) -> bool:
    """Whether there was one before all that are kept."""
    first = view.tally(rule.kind).first
    return rule.where is None and first is not None and first < time


def _compare(rule: Facts) -> Comparison:
    compare = rule.compare
    if compare is None:  # the form is not without one
        message = f"{rule.aggregate} compares with nothing"
        raise ValueError(message)
    return compare


_BY_AGGREGATE: Mapping[Aggregate, Callable[[Facts, View, int], Verdict]] = {
    "count": _figure,
    "sum": _figure,
    "average": _average,
    "min": _extreme,
    "max": _extreme,
    "distinct": _distinct,
    "first": _end,
    "last": _end,
}
