"""Findings of clauses about what happened."""

from services.segment.rules.evaluating.facts import different, window
from services.segment.rules.evaluating.sequences import inside
from services.segment.rules.findings.finding import Finding
from services.segment.rules.language.facts import ENDS, Facts, Sequence
from services.segment.rules.series import COUNT, Measure, Series
from services.segment.rules.view import View


def facts(rule: Facts, view: View, at: int) -> Finding:
    """What the facts in the window come to; ever includes those that are no longer kept.

    Averages and quantities are cut to whole numbers.
    """
    if rule.aggregate in ENDS:
        return _end(rule, view)
    series = _series(rule, view)
    start, end = window(rule, series, at)
    found = series.facts[start:end]
    if rule.by_totals:
        tally = view.tally(rule.kind)
        return Finding(tally.count if rule.aggregate == "count" else tally.total, found)
    value = _value(rule, series, start, end)
    return Finding(None if value is None else value // rule.scale, found)


def sequence(rule: Sequence, view: View, at: int) -> Finding:
    """How many first facts there are in the window, and these."""
    series = view.series(rule.first.facts, rule.first.where, COUNT)
    found = series.facts[inside(rule, series.times, at)]
    return Finding(len(found), found)


def _series(rule: Facts, view: View) -> Series:
    if rule.aggregate == "distinct":
        return view.series(rule.kind, rule.where, different(rule, view))
    measure = COUNT if rule.aggregate == "count" else Measure(rule.number)
    return view.series(rule.kind, rule.where, measure)


def _value(rule: Facts, series: Series, start: int, end: int) -> int | None:
    numbers = series.numbers[start:end]
    match rule.aggregate:
        case "count":
            return end - start
        case "sum":
            return sum(numbers)
        case "average":
            return sum(numbers) // len(numbers) if numbers else None
        case "min":
            return min(numbers, default=None)
        case "max":
            return max(numbers, default=None)
        case _:
            return len({thing for things in series.things[start:end] for thing in things})


def _end(rule: Facts, view: View) -> Finding:
    """The first or last of all, where it is still kept."""
    facts = view.series(rule.kind, rule.where, COUNT).facts
    found = facts[:1] if rule.aggregate == "first" else facts[-1:]
    if rule.by_totals:
        first = view.tally(rule.kind).first
        found = [fact for fact in found if fact.time == first]
        return Finding(None if first is None else 1, found)
    return Finding(1 if found else None, found)
