"""Maximum likelihood: the positive numbers at which a cost is least.

Looked for over the logarithms from a few starts, by L-BFGS-B with differences for a gradient. The
same data give the same numbers.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BOUNDS = (-7.0, 9.0)
"""Of the logarithms."""
PENALTY = 1e-6
"""Of the sum of their squares: keeps a flat likelihood from running away."""


def minimised(
    cost: Callable[[Floats], float], starts: Sequence[Sequence[float]]
) -> Sequence[float]:
    """The positive numbers at which the cost of their logarithms is least, over the starts."""
    from scipy.optimize import minimize  # noqa: PLC0415 - 44 MB that only those who ask pay

    found = [
        minimize(
            lambda logs: cost(logs) + PENALTY * float(np.square(logs).sum()),
            np.array(start),
            method="L-BFGS-B",
            bounds=[BOUNDS] * len(start),
        )
        for start in starts
    ]
    best = min(found, key=lambda result: float(result.fun))
    return [float(number) for number in np.exp(best.x)]
