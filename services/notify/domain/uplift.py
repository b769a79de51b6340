"""What a campaign has changed: one group of customers beside another, with how sure that is.

An interval that holds 0 says that the difference may be chance; a group that is too small says that
nothing can be told at all. Both are said plainly, and no difference is shown as an effect then.

Shares of buyers: the interval of Wilson (Journal of the American Statistical Association 22, 1927)
for each share, and the difference by Newcombe's hybrid score method, number 10 of R. G. Newcombe,
*Interval estimation for the difference between independent proportions*, Statistics in Medicine 17
(1998), 873-890: no correction for continuity. Turnover per customer: B. L. Welch, *The
generalization of "Student's" problem*, Biometrika 34 (1947), 28-35, with the degrees of freedom of
Welch and Satterthwaite.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose, sqrt
from typing import Literal

CONFIDENCE = 0.95
Z = 1.959963984540054
"""The quantile of the normal distribution at 0.975."""
SMALLEST_GROUP = 100
"""Customers; below it normal approximations of skewed turnovers are not to be relied upon."""

Finding = Literal["more", "less", "no_telling", "too_small"]


@dataclass(frozen=True, slots=True)
class Group:
    """Customers of one arm or variant; turnover in minor units, and the sum of its squares."""

    customers: int = 0
    buyers: int = 0
    receipts: int = 0
    turnover: int = 0
    squares: float = 0.0

    @property
    def share(self) -> float:
        """Of the customers, those who bought."""
        return self.buyers / self.customers if self.customers else 0.0

    @property
    def mean(self) -> float:
        """Turnover per customer, also of those who bought nothing."""
        return self.turnover / self.customers if self.customers else 0.0

    @property
    def variance(self) -> float:
        """Of the turnover per customer, estimated from the sample."""
        if self.customers < 2:  # noqa: PLR2004 - one customer has no variance
            return 0.0
        spread = self.squares - self.turnover * self.mean
        # What rounding leaves of equal turnovers is no variance.
        if spread < 0 or isclose(self.squares, self.turnover * self.mean, rel_tol=1e-12):
            return 0.0
        return spread / (self.customers - 1)


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference with its interval of 95 %; None where nothing can be told."""

    value: float
    low: float
    high: float
    finding: Finding


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the first group did more than the second: share of buyers, turnover per customer."""

    share: Difference | None
    turnover: Difference | None

    @property
    def finding(self) -> Finding:
        """What is said of buyers."""
        return "too_small" if self.share is None else self.share.finding


def compared(first: Group, second: Group) -> Comparison:
    """The first group beside the second."""
    if min(first.customers, second.customers) < SMALLEST_GROUP:
        return Comparison(None, None)
    share = _said(first.share - second.share, newcombe(first, second))
    return Comparison(share, _said(first.mean - second.mean, welch(first, second)))


def wilson(group: Group) -> tuple[float, float]:
    """The interval of 95 % of the share of buyers."""
    n, p = group.customers, group.share
    middle = (2 * n * p + Z * Z) / (2 * (n + Z * Z))
    reach = Z * sqrt(Z * Z + 4 * n * p * (1 - p)) / (2 * (n + Z * Z))
    return middle - reach, middle + reach


def newcombe(first: Group, second: Group) -> tuple[float, float]:
    """The interval of 95 % of the difference of the shares."""
    difference = first.share - second.share
    low_1, high_1 = wilson(first)
    low_2, high_2 = wilson(second)
    return (
        difference - sqrt((first.share - low_1) ** 2 + (high_2 - second.share) ** 2),
        difference + sqrt((high_1 - first.share) ** 2 + (second.share - low_2) ** 2),
    )


def welch(first: Group, second: Group) -> tuple[float, float]:
    """The interval of 95 % of the difference of turnover per customer."""
    from scipy.special import stdtrit  # noqa: PLC0415 - 44 MB that only those who ask pay

    difference = first.mean - second.mean
    ours, theirs = first.variance / first.customers, second.variance / second.customers
    error = ours + theirs
    if error == 0:
        return difference, difference
    freedom = error**2 / (ours**2 / (first.customers - 1) + theirs**2 / (second.customers - 1))
    reach = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * sqrt(error)
    return difference - reach, difference + reach


def _said(value: float, interval: Sequence[float]) -> Difference:
    low, high = interval
    finding: Finding = "no_telling" if low <= 0 <= high else "more" if low > 0 else "less"
    return Difference(value, low, high, finding)
