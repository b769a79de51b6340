"""Who will buy, how often and for how much: made on reading, from one document and the parameters.

Nothing of a prediction is stored, so it is never older than the receipts that are known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from services.segment.domain.predictions import PREDICTION_STREAM, PREDICTIONS
from services.segment.engine.buying import Buyers, Buying
from services.segment.engine.fitting import Floats
from services.segment.engine.spending import Spending
from services.segment.projections.activity import Activity
from services.segment.queries.activity import summed
from services.segment.queries.moments import Numbers, everybody, receipts_of
from shared.decider import Refused
from shared.events.prediction import ParametersFitted
from shared.execute import Writer
from shared.moments import milliseconds
from shared.readmodel import RawDocument, Scans

WEEK = 7 * 24 * 3600 * 1000
_NOBODY = ("away", "erased")


@dataclass(frozen=True, slots=True)
class Base:
    """Customers who have bought: what both models need of them, and their mean receipt."""

    buyers: Buyers
    mean: Floats

    @property
    def receipts(self) -> Floats:
        """All receipts, the first too."""
        found: Floats = self.buyers.repeats + 1.0
        return found


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of one customer: receipts and turnover (minor units) of the next weeks."""

    receipts: int
    alive: float
    expected_receipts: float
    expected_turnover: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom a prediction of the next days has to say it of; every bound that is given is kept.

    The bounds themselves are within. Turnover is net, in minor units.
    """

    days: int
    churn_risk_at_least: float | None = None
    churn_risk_at_most: float | None = None
    receipts_at_least: float | None = None
    turnover_at_least_minor: int | None = None

    def means(self, found: Prediction) -> bool:
        """Whether it means a customer of whom this is predicted."""
        risk = 1 - found.alive
        return not (
            _below(risk, self.churn_risk_at_least)
            or (self.churn_risk_at_most is not None and risk > self.churn_risk_at_most)
            or _below(found.expected_receipts, self.receipts_at_least)
            or _below(found.expected_turnover, self.turnover_at_least_minor)
        )


def _below(value: float, bound: float | None) -> bool:
    return bound is not None and value < bound


@dataclass(frozen=True, slots=True)
class Predictions:
    """Questions to the parameters, and what follows from them."""

    writer: Writer
    collection: Scans

    async def fitted(self) -> ParametersFitted | None:
        """The parameters that count now."""
        state, _ = await self.writer.state(PREDICTIONS, PREDICTION_STREAM)
        return state.fitted

    async def require_fitted(self) -> ParametersFitted:
        """The same. Raises `Refused` (409) before the first fit."""
        fitted = await self.fitted()
        if fitted is None:
            raise Refused(
                "not-fitted", 409, "The models are not fitted yet.", "POST /v1/predictions/fit"
            )
        return fitted

    async def of_whom(
        self, wanted: Wanted, fitted: ParametersFitted, now: datetime, after: str | None, limit: int
    ) -> tuple[Sequence[str], str | None]:
        """Whom it means of the next customers by id, and the last who was looked at.

        None at the end. Staff is left out, and who was merged or erased.
        """
        where = {} if after is None else {"_id": {"$gt": after}}
        people = await self.collection.find(where, sort=[("_id", 1)], limit=limit)
        counted = [
            raw for raw in people if not any(raw.get(each) for each in ("internal", *_NOBODY))
        ]
        found = _all_predicted(counted, fitted, now, wanted.days)
        meant = [name for name, each in found.items() if wanted.means(each)]
        return meant, people[-1]["_id"] if people else None

    async def base(self, now: datetime) -> Base:
        """All who have bought before the moment."""
        found: list[tuple[Buyers, Floats]] = []
        async for people in everybody(self.collection):
            living = [raw for raw in people if not raw.get("erased")]
            found.append(buyers_of(living, milliseconds(now)))
        parts = [buyers for buyers, _ in found]
        return Base(
            Buyers(
                _joined([each.repeats for each in parts]),
                _joined([each.recency for each in parts]),
                _joined([each.age for each in parts]),
            ),
            _joined([mean for _, mean in found]),
        )


def buyers_of(people: Sequence[RawDocument], now: int) -> tuple[Buyers, Floats]:
    """Those of the customers who have bought, and the mean of their receipts, net."""
    receipts = receipts_of(people)
    owners, starts, counts = np.unique(receipts.owners, return_index=True, return_counts=True)
    moments = np.minimum(receipts.moments, now)
    if not len(owners):
        nobody = np.zeros(0)
        return Buyers(nobody, nobody, nobody), nobody
    firsts: Numbers = np.minimum.reduceat(moments, starts)
    lasts: Numbers = np.maximum.reduceat(moments, starts)
    spent = np.array(
        [sum(each.get("spent", 0) for each in people[owner]["branches"]) for owner in owners]
    )
    buyers = Buyers(
        repeats=(counts - 1).astype(np.float64),
        recency=(lasts - firsts) / WEEK,
        age=(now - firsts) / WEEK,
    )
    return buyers, spent / counts


def predicted(
    activity: Activity, fitted: ParametersFitted, now: datetime, days: int
) -> Prediction | None:
    """What is expected of a customer in the next days; None of who has never bought."""
    summary = summed(activity)
    if summary.first is None or summary.last is None:
        return None
    at = milliseconds(now)
    first, last = (min(milliseconds(each), at) for each in (summary.first, summary.last))
    buyers = Buyers(
        np.array([summary.receipts - 1.0]),
        np.array([(last - first) / WEEK]),
        np.array([(at - first) / WEEK]),
    )
    buying = Buying(**fitted.buying.model_dump())
    spending = Spending(**fitted.spending.model_dump())
    count = float(buying.expected(buyers, days / 7)[0])
    receipts = np.array([float(summary.receipts)])
    worth = float(spending.expected(receipts, np.array([summary.spent / summary.receipts]))[0])
    return Prediction(summary.receipts, float(buying.alive(buyers)[0]), count, count * worth)


def _all_predicted(
    people: Sequence[RawDocument], fitted: ParametersFitted, now: datetime, days: int
) -> Mapping[str, Prediction]:
    """The same of many, by their ids, without those who have never bought."""
    buyers, mean = buyers_of(people, milliseconds(now))
    names = [raw["_id"] for raw in people if any(each.get("bought") for each in _branches(raw))]
    if not names:
        return {}
    receipts = buyers.repeats + 1.0
    alive = Buying(**fitted.buying.model_dump()).alive(buyers)
    counts = Buying(**fitted.buying.model_dump()).expected(buyers, days / 7)
    worth = Spending(**fitted.spending.model_dump()).expected(receipts, mean)
    found = zip(names, receipts, alive, counts, counts * worth, strict=True)
    return {
        name: Prediction(int(many), float(stays), float(count), float(turnover))
        for name, many, stays, count, turnover in found
    }


def _branches(raw: RawDocument) -> Sequence[RawDocument]:
    found: Sequence[RawDocument] = raw.get("branches", ())
    return found


def _joined(parts: Sequence[Floats]) -> Floats:
    found: Floats = np.concatenate(parts) if parts else np.zeros(0)
    return found
