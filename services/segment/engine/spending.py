"""Gamma-Gamma: what a receipt of a customer is worth, from how many there were and their mean.

Fader, Hardie (2013), "The Gamma-Gamma Model of Monetary Value". Receipts of a customer are
Gamma(p, v), and v is Gamma(q, gamma) over customers, whatever the rate at which they buy. All
receipts count, the first too, since they are alike in the model. Money is in minor units.
"""

from dataclasses import dataclass

import numpy as np

from services.segment.engine.fitting import Floats, minimised

STARTS = ((0.0, 0.0, 0.0), (1.5, 1.0, 1.0))
"""Logarithms of p, q - 1 and gamma from which the best fit is looked for, in units of the mean."""


@dataclass(frozen=True, slots=True)
class Spending:
    """The parameters; q is above 1, so that the mean over all customers is finite."""

    p: float
    q: float
    gamma: float

    def log_likelihood(self, receipts: Floats, mean: Floats) -> Floats:
        """Of customers with so many receipts of such a mean, both above 0."""
        from scipy.special import gammaln  # noqa: PLC0415 - 44 MB that only those who ask pay

        px, q, gamma = self.p * receipts, self.q, self.gamma
        found: Floats = (
            gammaln(px + q) - gammaln(px) - gammaln(q)
            + q * np.log(gamma) + (px - 1.0) * np.log(mean) + px * np.log(receipts)
            - (px + q) * np.log(gamma + mean * receipts)
        )  # fmt: skip
        return found

    def expected(self, receipts: Floats, mean: Floats) -> Floats:
        """The mean of all receipts that each will ever have; of nobody's, that of the base.

        Formula (5) of the note. Who got back what they paid has a mean of nothing, not of less.
        """
        spent = receipts * np.maximum(mean, 0.0)
        found: Floats = self.p * (self.gamma + spent) / (self.p * receipts + self.q - 1.0)
        return found


def fit_spending(receipts: Floats, mean: Floats) -> Spending:
    """The parameters of the highest likelihood. Raises ValueError where there is nothing to fit."""
    there = (receipts > 0) & (mean > 0)
    if not there.any():
        message = "nobody has paid anything"
        raise ValueError(message)
    unit = float(mean[there].mean())
    counts, means = receipts[there], mean[there] / unit

    def cost(logs: Floats) -> float:
        p, above, gamma = np.exp(logs)
        return -float(Spending(p, 1.0 + above, gamma).log_likelihood(counts, means).mean())

    p, above, gamma = minimised(cost, STARTS)
    return Spending(p, 1.0 + above, gamma * unit)
