"""Verdicts of clauses about where the customer stands among all.

Within one setting of the cut points a score changes when the last receipt ages over a cut, and when
a receipt comes into the look-back or leaves it. When it comes is an event; the other two are
instants that are searched.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.kinds import RECEIPTS
from services.segment.rules.language.rfm import Percentile, Rfm, RfmCell
from services.segment.rules.series import Measure, Series
from services.segment.rules.tables import BEST, Figures, Table
from services.segment.rules.view import View

NOWHERE = Verdict(value=False, next=None)
_TOTAL = Measure("total")


class Window(NamedTuple):
    """The receipts that a table looks at: those of the series from `start` on; at least one."""

    series: Series
    start: int
    look_back: int
    figures: Figures

    @property
    def emptied(self) -> int:
        """When the last one leaves."""
        return self.series.times[-1] + self.look_back


def window(table: Table, view: View, at: int) -> Window | None:
    """What the table sees of a customer; None without a receipt."""
    series = view.series(RECEIPTS, table.where, _TOTAL)
    times, sums = series.times, series.sums
    start = bisect_right(times, at - table.look_back)
    if start == len(times):
        return None
    figures = Figures(at - times[-1], len(times) - start, sums[-1] - sums[start])
    return Window(series, start, table.look_back, figures)


def rfm(rule: Rfm, view: View, at: int) -> Verdict:
    """Whether the score compares so."""
    table = view.surroundings.tables.get(rule.table)
    if table is None or table.cuts is None or (seen := window(table, view, at)) is None:
        return NOWHERE
    cuts = table.cuts
    low, high = rule.compare.bounds
    match rule.score:
        case "recency":
            value, changes = (
                BEST - bisect_right(cuts.recency, seen.figures.age),
                _aged(seen, cuts.recency),
            )
        case "frequency":
            value = 1 + bisect_right(cuts.frequency, seen.figures.receipts)
            changes = _fewer(seen, cuts.frequency)
        case _:
            value = 1 + bisect_right(cuts.monetary, seen.figures.spent)
            changes = _less(seen, cuts.monetary)
    return Verdict(low <= value <= high, changes)


def rfm_cell(rule: RfmCell, view: View, at: int) -> Verdict:
    """Whether it is in one of the cells."""
    table = view.surroundings.tables.get(rule.table)
    if table is None or table.cuts is None or (seen := window(table, view, at)) is None:
        return NOWHERE
    cuts = table.cuts
    changes = min(
        _aged(seen, cuts.recency), _fewer(seen, cuts.frequency), _less(seen, cuts.monetary)
    )
    return Verdict(cuts.scores(seen.figures).cell in rule.wanted, changes)


def percentile(rule: Percentile, view: View, at: int) -> Verdict:
    """Whether the percentile compares so."""
    table = view.surroundings.tables.get(rule.table)
    if table is None or table.percentiles is None or (seen := window(table, view, at)) is None:
        return NOWHERE
    low, high = rule.compare.bounds
    match rule.of:
        case "spent":
            cuts, value = table.percentiles.spent, seen.figures.spent
            changes = _less(seen, cuts)
        case "receipts":
            cuts, value = table.percentiles.receipts, seen.figures.receipts
            changes = _fewer(seen, cuts)
        case _:
            cuts, value = table.percentiles.average, seen.figures.average
            changes = _next_leaving(seen)
    return Verdict(low <= bisect_right(cuts, value) <= high, changes)


def _aged(seen: Window, cuts: Sequence[int]) -> int:
    """When the last receipt ages over the next cut, or leaves."""
    passed = bisect_right(cuts, seen.figures.age)
    if passed == len(cuts):
        return seen.emptied
    return min(seen.series.times[-1] + cuts[passed], seen.emptied)


def _fewer(seen: Window, cuts: Sequence[int]) -> int:
    """When so many have left that the highest cut which is reached is reached no more."""
    reached = bisect_right(cuts, seen.figures.receipts)
    if reached == 0 or cuts[reached - 1] < 1:
        return seen.emptied
    times = seen.series.times
    return times[len(times) - cuts[reached - 1]] + seen.look_back


def _less(seen: Window, cuts: Sequence[int]) -> int:
    """The same for the sum; where negative totals forbid searching, when the next one leaves."""
    if not seen.series.rising:
        return _next_leaving(seen)
    reached = bisect_right(cuts, seen.figures.spent)
    if reached == 0:
        return seen.emptied
    times, sums = seen.series.times, seen.series.sums
    gone = bisect_right(sums, sums[-1] - cuts[reached - 1], seen.start + 1)
    return times[gone - 1] + seen.look_back if gone < len(sums) else seen.emptied


def _next_leaving(seen: Window) -> int:
    return seen.series.times[seen.start] + seen.look_back
