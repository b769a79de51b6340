"""BG/NBD and Gamma-Gamma: published values, closed forms against integrals, parameters found again.

The parameters of CDNOW (r 0.243, alpha 4.414, a 0.793, b 2.426) and the expectation of its first
customer, 1.226 in 39 weeks, are those of Fader, Hardie and Lee (2005) and of their spreadsheet.
"""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta as beta_distribution
from scipy.stats import gamma as gamma_distribution

from services.segment.engine.buying import Buyers, Buying, fit_buying
from services.segment.engine.fitting import Floats
from services.segment.engine.spending import Spending, fit_spending

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(300)
RATES, CHANCES = np.meshgrid(10 * (_NODES + 1), (_NODES + 1) / 2)
"""Nodes of rates from 0 to 20, and of chances from 0 to 1."""
WEIGHTS = np.outer(_WEIGHTS / 2, 10 * _WEIGHTS)
CDNOW = Buying(r=0.243, alpha=4.414, a=0.793, b=2.426)


def one(x: float, recency: float, age: float) -> Buyers:
    return Buyers(np.array([x]), np.array([recency]), np.array([age]))


def test_the_first_customer_of_cdnow_is_expected_to_buy_as_published() -> None:
    assert CDNOW.expected(one(2, 30.43, 38.86), 39)[0] == pytest.approx(1.226, abs=5e-4)


def test_who_never_bought_again_has_not_left_in_this_model() -> None:
    assert CDNOW.alive(one(0, 0, 38.86))[0] == 1.0


def over_all(model: Buying, value: Floats) -> float:
    """The mean of a value over all customers of the model, given at the nodes of `RATES`."""
    density = gamma_distribution(model.r, scale=1 / model.alpha).pdf(RATES)
    density = density * beta_distribution(model.a, model.b).pdf(CHANCES)
    return float((WEIGHTS * density * value).sum())


@pytest.mark.parametrize("who", [(0.0, 0.0, 10.0), (2.0, 6.0, 10.0), (4.0, 9.5, 10.0)])
def test_the_closed_forms_are_the_integrals_over_all_customers(
    who: tuple[float, float, float],
) -> None:
    model = Buying(r=2.0, alpha=3.0, a=2.0, b=3.0)
    x, recency, age = who
    # Seen so and buying still, or gone right after the last receipt.
    still = (1 - CHANCES) ** x * RATES**x * np.exp(-RATES * age)
    gone = CHANCES * (1 - CHANCES) ** (x - 1) * RATES**x * np.exp(-RATES * recency) if x else 0.0
    # Somebody who buys at a rate and leaves with p has (1 - exp(-rate p t)) / p receipts in t.
    weeks = 5.0
    bought = still * (1 - np.exp(-RATES * CHANCES * weeks)) / CHANCES
    seen = over_all(model, still + gone)
    buyers = one(*who)
    assert np.exp(model.log_likelihood(buyers))[0] == pytest.approx(seen, rel=1e-6)
    assert model.alive(buyers)[0] == pytest.approx(over_all(model, still) / seen, rel=1e-6)
    expected = over_all(model, bought) / seen
    assert model.expected(buyers, weeks)[0] == pytest.approx(expected, rel=1e-6)


def test_the_expectation_has_no_gap_where_a_is_one_and_none_for_many_receipts() -> None:
    buyers = one(3, 8, 10)
    near = [Buying(1.5, 3.0, a, 2.2).expected(buyers, 5)[0] for a in (0.999, 1.0, 1.001)]
    assert near[1] == pytest.approx((near[0] + near[2]) / 2, rel=1e-3)
    often = CDNOW.expected(one(2_000, 51.9, 52), 13)[0]
    # About 38 a week, who has left with little chance: somewhat below 13 * 2000 / 52.
    assert 300 < often < 500


def simulated(model: Buying, people: int, seed: int) -> Buyers:
    """Customers as the model has them, seen for 40 to 60 weeks."""
    draws = np.random.default_rng(seed)
    rates = draws.gamma(model.r, 1 / model.alpha, people)
    chances = draws.beta(model.a, model.b, people)
    ages = draws.uniform(40, 60, people)
    repeats, recency = np.zeros(people), np.zeros(people)
    for number in range(people):
        at = 0.0
        while True:
            at += draws.exponential(1 / rates[number])
            if at > ages[number]:
                break
            repeats[number] += 1
            recency[number] = at
            if draws.random() < chances[number]:
                break
    return Buyers(repeats, recency, ages)


def test_the_parameters_of_simulated_customers_are_found_again() -> None:
    model = Buying(r=0.8, alpha=6.0, a=0.9, b=3.0)
    buyers = simulated(model, 8_000, seed=5)
    found = fit_buying(buyers)
    assert found.r == pytest.approx(0.8, rel=0.1)
    assert found.alpha == pytest.approx(6.0, rel=0.1)
    # What a and b mean is sharper than they are: the mean chance of leaving is 0.9 / 3.9.
    assert found.a / (found.a + found.b) == pytest.approx(0.9 / 3.9, rel=0.1)
    at_truth = model.log_likelihood(buyers).sum()
    assert found.log_likelihood(buyers).sum() >= at_truth - 0.1


def test_nothing_can_be_fitted_to_those_who_bought_once_or_paid_nothing() -> None:
    with pytest.raises(ValueError, match="bought twice"):
        fit_buying(one(0, 0, 10))
    with pytest.raises(ValueError, match="paid anything"):
        fit_spending(np.array([1.0]), np.array([0.0]))


def seen_to_spend(model: Spending, people: int, seed: int) -> tuple[Floats, Floats]:
    """Numbers of receipts and their means."""
    draws = np.random.default_rng(seed)
    rates = draws.gamma(model.q, 1 / model.gamma, people)
    receipts = draws.integers(1, 12, people).astype(float)
    # The mean of n receipts, each Gamma(p, v), is Gamma(pn, vn).
    means = draws.gamma(model.p * receipts, 1 / (rates * receipts))
    return receipts, means


def test_what_receipts_are_worth_is_found_again() -> None:
    model = Spending(p=6.25, q=3.74, gamma=1544.0)
    receipts, means = seen_to_spend(model, 8_000, seed=7)
    found = fit_spending(receipts, means)
    assert found.p == pytest.approx(6.25, rel=0.1)
    assert found.q == pytest.approx(3.74, rel=0.1)
    assert found.gamma == pytest.approx(1544.0, rel=0.15)
    # 6.25 * 1544 / 2.74: the mean over all customers, and of one of whom nothing is known.
    assert found.expected(np.zeros(1), np.zeros(1))[0] == pytest.approx(3521.9, rel=0.03)


def test_the_expected_worth_is_the_integral_over_all_customers() -> None:
    model = Spending(p=3.0, q=2.5, gamma=20.0)
    receipts, mean = 4.0, 15.0
    prior = gamma_distribution(model.q, scale=1 / model.gamma)

    def weight(rate: float) -> float:
        shape = model.p * receipts
        seen = gamma_distribution(shape, scale=1 / (rate * receipts)).pdf(mean)
        return float(seen * prior.pdf(rate))

    total, _ = quad(weight, 0, 3, epsabs=1e-13)
    worth, _ = quad(lambda rate: weight(rate) * model.p / rate, 1e-9, 3, epsabs=1e-13)
    likely = model.log_likelihood(np.array([receipts]), np.array([mean]))
    assert np.exp(likely)[0] == pytest.approx(total, rel=1e-6)
    expected = model.expected(np.array([receipts]), np.array([mean]))
    assert expected[0] == pytest.approx(worth / total, rel=1e-6)


def test_who_got_everything_back_is_not_expected_to_be_paid() -> None:
    model = Spending(p=3.0, q=2.5, gamma=20.0)
    assert model.expected(np.array([4.0]), np.array([-50.0]))[0] > 0
