"""What totals of all time say of a rule, where they say it all: just what the interpreter says.

A window holds no more than there ever was, and nothing where the last fact lies before it. So most
customers answer most rules before any of their facts is read. Where that is not plain there is no
verdict, and the facts have to be asked.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from services.segment.rules.evaluating.verdict import Verdict
from services.segment.rules.language.facts import ENDS, Facts
from services.segment.rules.language.forms import UNBOUNDED
from services.segment.rules.language.kinds import FACT_NAMES
from services.segment.rules.language.tree import All, AnyOf, Not, Rule, leaves


class Counted(Protocol):
    """Over all visible facts of a kind that count of themselves, ever; times are instants."""

    @property
    def count(self) -> int:
        """How many."""
        ...

    @property
    def total(self) -> int:
        """The sum of their first number."""
        ...

    @property
    def first(self) -> int | None:
        """When the first was, None where there was none."""
        ...

    @property
    def last(self) -> int | None:
        """When the last was, None where there was none."""
        ...


AllCounted = Mapping[str, Counted]
"""By kind; a kind of which there never was one may be absent."""
_TRUE, _FALSE = Verdict(value=True, next=None), Verdict(value=False, next=None)


def may_tell(rule: Rule) -> bool:
    """Whether there is a clause of which totals can say something."""
    return any(isinstance(leaf, Facts) and leaf.of_counted for leaf in leaves(rule))


def by_totals(rule: Rule, totals: AllCounted, at: int) -> Verdict | None:
    """What `evaluate` gives at an instant that is after all facts; None where facts must tell."""
    form = _FORMS.get(rule.kind)
    return None if form is None else form(rule, totals, at)


def _joined(rule: All | AnyOf, totals: AllCounted, at: int, *, settles: bool) -> Verdict | None:
    """As the interpreter joins: one clause that settles it for good says all, unknown ones or not.

    Else none may be unknown: settled, it stays so until the last settling clause changes; open,
    until the first one does.
    """
    unknown = False
    settled, others = [], []
    for clause in rule.clauses:
        verdict = by_totals(clause, totals, at)
        if verdict is None:
            unknown = True
        elif verdict.value is not settles:
            others.append(verdict.next)
        elif verdict.next is None:
            return verdict
        else:
            settled.append(verdict.next)
    if unknown:
        return None
    if settled:
        return Verdict(settles, max(settled))
    return Verdict(not settles, min((each for each in others if each is not None), default=None))


def _all(rule: All, totals: AllCounted, at: int) -> Verdict | None:
    return _joined(rule, totals, at, settles=False)


def _any(rule: AnyOf, totals: AllCounted, at: int) -> Verdict | None:
    return _joined(rule, totals, at, settles=True)


def _not(rule: Not, totals: AllCounted, at: int) -> Verdict | None:
    verdict = by_totals(rule.clause, totals, at)
    return None if verdict is None else Verdict(not verdict.value, verdict.next)


def _facts(rule: Facts, totals: AllCounted, at: int) -> Verdict | None:
    if not rule.of_counted:
        return None
    counted = totals.get(rule.kind)
    if counted is None or counted.first is None or counted.last is None:
        return _of_nothing(rule)
    first, last = counted.first, counted.last
    if not _may_lie_inside(rule, first, last, at):
        return _of_nothing(rule)
    aggregate = rule.aggregate
    if aggregate == "count":
        return _count(rule, counted.count, last)
    if aggregate == "sum" and rule.by_totals:
        low, high = rule.bounds
        return Verdict(low <= counted.total <= high, None)
    if aggregate in ENDS and rule.where is None and rule.having is None:
        return _end(rule, first if aggregate == "first" else last, at)
    return None


def _may_lie_inside(rule: Facts, first: int, last: int, at: int) -> bool:
    """Whether some fact may lie in the window, by when the first and the last one were."""
    if rule.between is not None:
        begin, behind = rule.between.bounds
        return last >= begin and first < behind
    return rule.span is None or last > at - rule.span


def _of_nothing(rule: Facts) -> Verdict:
    """Of nothing there are 0, which time alone does not change, and all else is false."""
    if rule.aggregate not in {"count", "sum", "distinct"}:
        return _FALSE
    low, high = rule.bounds
    return _TRUE if low <= 0 <= high else _FALSE


def _count(rule: Facts, most: int, last: int) -> Verdict | None:
    """Of `most` that there ever were; the last of them, at least, lies in the window.

    What fewer would satisfy as well stays true, and what more are needed for stays false.
    """
    low, high = rule.bounds
    if rule.by_totals:
        return Verdict(low <= most <= high, None)
    if most < low:
        return _FALSE
    if low <= 0 and most <= high:
        return _TRUE
    if rule.where is not None or rule.span is None:
        return None
    if low == 1 and high == UNBOUNDED:
        return Verdict(value=True, next=last + rule.span)
    if low <= 0 and high == 0:
        return Verdict(value=False, next=last + rule.span)
    return None


def _end(rule: Facts, time: int, at: int) -> Verdict:
    """The first or the last was at an instant."""
    if rule.between is not None:
        begin, behind = rule.between.bounds
        return Verdict(begin <= time < behind, None)
    if rule.span is None or time <= at - rule.span:
        return _FALSE
    return Verdict(value=True, next=time + rule.span)


_FORMS: Mapping[str, Callable[[Any, AllCounted, int], Verdict | None]] = {
    "all": _all,
    "any": _any,
    "not": _not,
    **dict.fromkeys(FACT_NAMES, _facts),
}
