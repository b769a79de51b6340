"""BG/NBD: who still buys, and how often they will: from how often and how recently they did.

Fader, Hardie, Lee (2005), "Counting Your Customers the Easy Way: An Alternative to the Pareto/NBD
Model", Marketing Science 24(2). While alive, a customer buys at a rate λ; after each repeat receipt
they leave for good with probability p. Over customers λ is Gamma(r, alpha) and p is Beta(a, b).

Of one customer three numbers are enough: x repeat receipts, the last of them t_x after the first
receipt, seen for T in all. Times are weeks; arrays are one number per customer.
"""

from dataclasses import dataclass

import numpy as np

from services.segment.engine.fitting import Floats, minimised

STARTS = ((0.0, 0.0, 0.0, 0.0), (-1.0, 2.0, -1.0, 1.0), (0.5, 1.0, -2.0, 0.5))
"""Logarithms of the parameters from which the best fit is looked for."""
FEW = 1e-6
"""How near to 1 `a` is moved away from it, where the expectation has a removable gap."""


@dataclass(frozen=True, slots=True)
class Buyers:
    """Some customers: repeat receipts, weeks from the first to the last receipt and until now."""

    repeats: Floats
    recency: Floats
    age: Floats


@dataclass(frozen=True, slots=True)
class Buying:
    """The parameters: λ is Gamma(shape `r`, rate `alpha` weeks), p is Beta(`a`, `b`)."""

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, buyers: Buyers) -> Floats:
        """Of each customer, as formula (6) of the note that goes with the paper."""
        from scipy.special import gammaln  # noqa: PLC0415 - 44 MB that only those who ask pay

        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        x = buyers.repeats
        common = (
            gammaln(r + x) - gammaln(r) + r * np.log(alpha)
            + gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
        )  # fmt: skip
        alive = -(r + x) * np.log(alpha + buyers.age)
        left = (
            np.log(a)
            - np.log(b + np.maximum(x, 1.0) - 1.0)
            - (r + x) * np.log(alpha + buyers.recency)
        )
        found: Floats = common + np.logaddexp(alive, np.where(x > 0, left, -np.inf))
        return found

    def alive(self, buyers: Buyers) -> Floats:
        """The probability that each customer still buys; 1 without a repeat receipt."""
        x = buyers.repeats
        odds = np.exp(
            np.log(self.a)
            - np.log(self.b + np.maximum(x, 1.0) - 1.0)
            + (self.r + x) * (np.log(self.alpha + buyers.age) - np.log(self.alpha + buyers.recency))
        )
        found: Floats = 1.0 / (1.0 + np.where(x > 0, odds, 0.0))
        return found

    def expected(self, buyers: Buyers, weeks: float) -> Floats:
        """How many receipts each customer is expected to have in the next weeks.

        Formula (10) of the paper. Its hypergeometric function overflows for many receipts, so it
        is taken by Euler's transformation, F(u, v; w; z) = (1 - z)^(w-u-v) F(w-u, w-v; w; z).
        """
        from scipy.special import hyp2f1  # noqa: PLC0415 - 44 MB that only those who ask pay

        a = self.a if abs(self.a - 1.0) > FEW else 1.0 + FEW
        x = buyers.repeats
        z = weeks / (self.alpha + buyers.age + weeks)
        w = a + self.b + x - 1.0
        stays = (1.0 - z) ** (a - 1.0) * hyp2f1(a + self.b - 1.0 - self.r, a - 1.0, w, z)
        found: Floats = w / (a - 1.0) * (1.0 - stays) * self.alive(buyers)
        return found


def fit_buying(buyers: Buyers) -> Buying:
    """The parameters of the highest likelihood. Raises ValueError where there is nothing to fit."""
    if not len(buyers.repeats) or not buyers.repeats.any():
        message = "nobody has bought twice"
        raise ValueError(message)
    best = minimised(
        lambda logs: -float(Buying(*np.exp(logs)).log_likelihood(buyers).mean()), STARTS
    )
    return Buying(*best)
