"""Verdicts of clauses about what came after, or before, something else."""

from bisect import bisect_left, bisect_right

from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.facts import Sequence
from services.segment.rules.language.forms import UNBOUNDED
from services.segment.rules.series import COUNT
from services.segment.rules.view import View


def sequence(rule: Sequence, view: View, at: int) -> Verdict:
    """Whether some first fact has so many others after it, or before it.

    As far as is known now, a first fact makes the clause true from when its count is settled until
    it leaves the window. What holds together of these times around the instant is the verdict's.
    """
    firsts = view.series(rule.first.facts, rule.first.where, COUNT).times
    others = view.series(rule.then.facts, rule.then.where, COUNT).times
    low, high = rule.compare.bounds
    wait, reach = rule.wait, rule.reach
    after = rule.direction == "after"
    length = UNBOUNDED if rule.span is None else rule.span
    end = at
    for time in firsts[inside(rule, firsts, at)]:
        if after:
            count = bisect_right(others, time + reach) - bisect_right(others, time)
        else:
            count = bisect_left(others, time) - bisect_left(others, time - reach)
        if not low <= count <= high:
            continue
        begins = time + wait
        if begins > end:
            return Verdict(end > at, end if end > at else begins)
        end = time + length
        if length == UNBOUNDED:
            return Verdict(value=True, next=None)
    return Verdict(end > at, end if end > at else None)


def inside(rule: Sequence, times: list[int], at: int) -> slice:
    """The places of the first facts that lie in the window, by their times."""
    if rule.span is not None:
        return slice(bisect_right(times, at - rule.span), None)
    if rule.between is None:
        return slice(None)
    begin, end = rule.between.bounds
    return slice(bisect_left(times, begin), bisect_left(times, end))
