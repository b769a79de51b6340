"""What one fact changes at one branch, and how it is taken back.

`sign` is 1 for what happens and -1 for what turns out not to have happened, or not here. Adding and
taking back commute, whatever comes first.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime

from services.interaction.domain.days import Days
from services.interaction.projections.totals.document import BranchTotals, CategoryTotals
from services.interaction.projections.totals.reading import (
    CAME,
    Line,
    Receipt,
    Returned,
    Visit,
    Voided,
)
from shared.moments import (
    counted,
    ends_of,
    milliseconds,
    unpacked,
    with_moment,
    within,
    without_moment,
)

Branches = list[BranchTotals]
SUMS = ("receipts", "spent", "returns", "returned", "tips", "costed", "cost")


def _branch(each: BranchTotals) -> str:
    return each.branch


def _path(each: CategoryTotals) -> list[str]:
    return each.path


class Tally:
    """Adds up facts by the chain's days."""

    def __init__(self, days: Days) -> None:
        """`days` are the chain's."""
        self._days = days

    def take(self, branches: Branches, branch: str | None, time: datetime, data: object) -> None:
        """Add up a fact. Raises ValueError where it names no branch and has to."""
        match data:
            case Receipt():
                self._receipt(at_branch(branches, _named(branch)), milliseconds(time), data)
            case Returned():
                self._return(branches, _named(branch), data)
            case Voided():
                self._void(branches, data)
            case Visit(state=state, at=at) if state in CAME and branch is not None:
                self._come(at_branch(branches, branch), milliseconds(at or time), 1)

    def merge(self, branches: Branches, facts: Sequence[BranchTotals], sign: int) -> None:
        """Take over what other facts add up to, or give it away."""
        for each in facts:
            there = at_branch(branches, each.branch)
            for name in SUMS:
                setattr(there, name, getattr(there, name) + sign * getattr(each, name))
            for at in unpacked(each.bought):
                self._buy(there, at, sign)
            for at in unpacked(each.owed):
                self._buy(there, at, -sign)
            for at in unpacked(each.came):
                self._come(there, at, sign)
            for category in each.categories:
                _spend(there, category.path, sign * category.spent)
            _drop_if_empty(branches, there)

    def count(self, branches: Sequence[BranchTotals], at: int) -> int:
        """The receipts of the day of a moment, at all branches."""
        begin, end = self._days.bounds(at)
        return sum(within(each.bought, begin, end) for each in branches)

    def _receipt(self, there: BranchTotals, at: int, receipt: Receipt) -> None:
        there.receipts += 1
        there.spent += receipt.total
        if receipt.tips:
            there.tips += receipt.tips
        self._buy(there, at, 1)
        _lines(there, receipt.lines, 1)

    def _return(self, branches: Branches, branch: str, data: Returned) -> None:
        there = at_branch(branches, branch)
        there.returns += 1
        there.returned += data.total
        there.spent -= data.total
        _lines(there, data.lines, -1)

    def _void(self, branches: Branches, data: Voided) -> None:
        there = at_branch(branches, data.bought_at)
        there.receipts -= 1
        there.spent -= data.total
        there.tips -= data.tips or 0
        self._buy(there, milliseconds(data.bought), -1)
        _lines(there, data.lines, -1)
        _drop_if_empty(branches, there)

    def _buy(self, there: BranchTotals, at: int, sign: int) -> None:
        """A receipt at a moment, or one less; one that is gone before it came is owed."""
        bought, there.owed = counted(there.bought, there.owed, at, sign)
        if bought != there.bought:
            there.bought = bought
            self._visits(there, at, sign)
            there.first, there.last = ends_of(bought)

    def _come(self, there: BranchTotals, at: int, sign: int) -> None:
        """A visit at a moment, or one less. Raises ValueError where there was none."""
        came = with_moment(there.came, at) if sign > 0 else without_moment(there.came, at)
        if came is None:
            message = "a visit goes that was never here"
            raise ValueError(message)
        there.came = came
        self._visits(there, at, sign)

    def _visits(self, there: BranchTotals, at: int, sign: int) -> None:
        """Count the day where the moment is its first, or was its last."""
        begin, end = self._days.bounds(at)
        others = within(there.bought, begin, end)
        if there.came:
            others += within(there.came, begin, end)
        if others == (1 if sign > 0 else 0):
            there.visits += sign


def at_branch(branches: Branches, branch: str) -> BranchTotals:
    """The totals at a branch; where there are none, empty ones that are there from now on."""
    place = bisect_left(branches, branch, key=_branch)
    if place == len(branches) or branches[place].branch != branch:
        branches.insert(place, BranchTotals(branch))
    return branches[place]


def _drop_if_empty(branches: Branches, there: BranchTotals) -> None:
    if there == BranchTotals(there.branch):
        branches.remove(there)


def _lines(there: BranchTotals, lines: Iterable[Line], sign: int) -> None:
    for line in lines:
        if line.cost is not None:
            there.costed += sign * line.amount
            there.cost += sign * line.cost
        if line.categories:
            _spend(there, line.categories, sign * line.amount)


def _spend(there: BranchTotals, path: Sequence[str], amount: int) -> None:
    categories, wanted = there.categories, list(path)
    place = bisect_left(categories, wanted, key=_path)
    if place < len(categories) and categories[place].path == wanted:
        categories[place].spent += amount
        if not categories[place].spent:
            del categories[place]
    elif amount:
        categories.insert(place, CategoryTotals(wanted, amount))


def _named(branch: str | None) -> str:
    if branch is None:
        message = "a receipt or return has a branch"
        raise ValueError(message)
    return branch
