"""Uplift: the formulas against published and reference values, and against chance itself."""

import random
from math import sqrt

import numpy as np
import pytest
from scipy import stats

from services.notify.domain.uplift import SMALLEST_GROUP, Group, compared, newcombe, welch, wilson


def of(buyers: int, customers: int) -> Group:
    return Group(customers, buyers)


def having(turnovers: list[int]) -> Group:
    squares = float(sum(each * each for each in turnovers))
    return Group(len(turnovers), sum(each > 0 for each in turnovers), 0, sum(turnovers), squares)


# Newcombe (1998), table II, the rows of method 10.
@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_the_interval_of_shares_is_that_of_the_paper(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    assert newcombe(of(*first), of(*second)) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("buyers", "customers"), [(0, 100), (7, 100), (50, 100), (100, 100)])
def test_the_interval_of_one_share_is_that_of_scipy(buyers: int, customers: int) -> None:
    expected = stats.binomtest(buyers, customers).proportion_ci(0.95, "wilson")
    assert wilson(of(buyers, customers)) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_of_turnover_is_that_of_welch_in_scipy() -> None:
    chance = random.Random(7)
    ours = [chance.choice([0, 0, 500, 1_999, 80_000]) for _ in range(150)]
    theirs = [chance.choice([0, 300, 1_200]) for _ in range(320)]
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    found = welch(having(ours), having(theirs))
    assert found == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_mean_and_variance_follow_from_the_sums() -> None:
    # 0, 300 and 600: the mean is 300, the squares of the distances 90,000 + 0 + 90,000, by 3 - 1.
    group = having([0, 300, 600])
    assert (group.share, group.mean, group.variance) == (2 / 3, 300, 90_000)
    # Equal turnovers have none, whatever rounding leaves of their squares.
    assert having([333_333_333] * 1_000).variance == 0
    assert welch(having([5] * 100), having([3] * 100)) == (2, 2)


def test_what_cannot_be_told_is_said_to_be_so() -> None:
    few = compared(of(90, SMALLEST_GROUP - 1), of(1, 10_000))
    assert (few.finding, few.share, few.turnover) == ("too_small", None, None)
    # 12 % and 10 % of 1,000: the difference of 0.02 has an error of √(0.1056/1000 + 0.09/1000),
    # about 0.014, of which twice as much is more than the difference.
    assert compared(of(120, 1_000), of(100, 1_000)).finding == "no_telling"
    # Of 10,000 each it is 0.0044, and the difference stands out.
    clear = compared(of(1_200, 10_000), of(1_000, 10_000))
    assert clear.finding == "more"
    assert clear.share is not None
    assert clear.share.value == pytest.approx(0.02)
    error = sqrt(0.12 * 0.88 / 10_000 + 0.1 * 0.9 / 10_000)
    assert clear.share.low == pytest.approx(0.02 - 1.96 * error, abs=1e-4)
    assert compared(of(1_000, 10_000), of(1_200, 10_000)).finding == "less"


def test_an_interval_that_begins_at_zero_tells_nothing() -> None:
    nobody = of(0, 200)
    assert compared(nobody, nobody).finding == "no_telling"
    assert compared(Group(), Group()).finding == "too_small"


def test_the_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    chance = np.random.default_rng(20_180_101)
    runs, ours, theirs = 2_000, 600, 150
    p, q = 0.13, 0.09
    baskets = np.array([900, 2_500, 7_000, 15_000])
    # Who buys spends a basket at random: 6,350 on average.
    difference = (p - q) * baskets.mean()
    by_share = by_turnover = 0
    for _ in range(runs):
        groups = []
        for size, share in ((ours, p), (theirs, q)):
            buys = chance.random(size) < share
            spent = np.where(buys, chance.choice(baskets, size), 0)
            squares = float((spent.astype(float) ** 2).sum())
            groups.append(Group(size, int(buys.sum()), 0, int(spent.sum()), squares))
        low, high = newcombe(groups[0], groups[1])
        by_share += low <= p - q <= high
        low, high = welch(groups[0], groups[1])
        by_turnover += low <= difference <= high
    # Of 2,000 runs 95 % are 1,900, with a standard deviation of √(2,000 × 0.95 × 0.05) = 9.7. The
    # score interval keeps to it; that of skewed turnovers of 150 customers is a little too narrow.
    assert abs(by_share / runs - 0.95) < 0.02
    assert 0.92 < by_turnover / runs < 0.97
