"""The plain interpreter: is the rule true of this customer at this moment, and until when?

Besides its truth, each clause gives the next instant at which time alone changes it: as facts only
leave a window (at exactly time + span, since a window is open at its old end), that instant can be
searched for and is exact. A joining form gives an instant before which its truth cannot change by
time, and evaluating again there settles it; so a timer set by `next` misses nothing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Any, NamedTuple

from services.segment.rules.language import (
    All,
    AnyOf,
    Attribute,
    Bounds,
    Consent,
    FirstReceipt,
    Is,
    IsAnyOf,
    IsNot,
    Not,
    Receipts,
    Rule,
    Value,
)
from services.segment.rules.view import FieldValue, Series, View


class Verdict(NamedTuple):
    """A truth, and the next instant at which time alone may change it (None: never)."""

    value: bool
    next: int | None


def evaluate(rule: Rule, view: View, at: int) -> Verdict:
    """The verdict on a customer at an instant, which no fact of the view lies after."""
    return _FORMS[rule.kind](rule, view, at)


def _joined(clauses: tuple[Rule, ...], view: View, at: int, *, settles: bool) -> Verdict:
    """Clauses of which one alone settles the truth, by being `settles`.

    Settled, it stays so while any settling clause does: until the last of them changes. Otherwise
    it holds until the first clause changes.
    """
    settled_until = open_until = None
    for clause in clauses:
        value, changes = _FORMS[clause.kind](clause, view, at)
        if value is settles:
            if changes is None:
                return Verdict(settles, None)
            if settled_until is None or changes > settled_until:
                settled_until = changes
        elif changes is not None and (open_until is None or changes < open_until):
            open_until = changes
    if settled_until is not None:
        return Verdict(settles, settled_until)
    return Verdict(not settles, open_until)


def _all(rule: All, view: View, at: int) -> Verdict:
    return _joined(rule.clauses, view, at, settles=False)


def _any(rule: AnyOf, view: View, at: int) -> Verdict:
    return _joined(rule.clauses, view, at, settles=True)


def _not(rule: Not, view: View, at: int) -> Verdict:
    value, changes = evaluate(rule.clause, view, at)
    return Verdict(not value, changes)


def _receipts(rule: Receipts, view: View, at: int) -> Verdict:
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


def _first_receipt(rule: FirstReceipt, view: View, at: int) -> Verdict:
    if view.first is None or view.first <= at - rule.span:
        return Verdict(value=False, next=None)
    return Verdict(value=True, next=view.first + rule.span)


def _attribute(rule: Attribute, view: View, _at: int) -> Verdict:
    attribute = view.attributes.get(rule.field)
    held = None if attribute is None else attribute.value
    match rule.test:
        case Is() | IsAnyOf():
            value = held is not None and _has_one(held, rule.values)
        case IsNot():
            value = held is None or not _has_one(held, rule.values)
        case _:
            value = held is not None
    return Verdict(value, None)


def _has_one(held: FieldValue, wanted: tuple[Value, ...]) -> bool:
    """Whether a held value is wanted. Python holds that 1 equals True; a marketer does not."""
    values = held if isinstance(held, tuple) else (held,)
    return any(
        value == choice and isinstance(value, bool) is isinstance(choice, bool)
        for value in values
        for choice in wanted
    )


def _consent(rule: Consent, view: View, _at: int) -> Verdict:
    word = view.consents.get((rule.topic, rule.channel))
    return Verdict(word is not None and word.given, None)


# By kind, and not by `match`: an instance check of a pydantic model costs more than the clause.
_FORMS: dict[str, Callable[[Any, View, int], Verdict]] = {
    "all": _all,
    "any": _any,
    "not": _not,
    "receipts": _receipts,
    "first_receipt": _first_receipt,
    "attribute": _attribute,
    "consent": _consent,
}
