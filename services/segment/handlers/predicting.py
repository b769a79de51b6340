"""Parameters are fitted by a job: beside live traffic, in a thread, and recorded once.

Where there are very many customers, a sample of them is enough: parameters are of the whole base.
"""

import asyncio
from dataclasses import dataclass

import numpy as np

from services.segment.domain.predictions import PREDICTION_STREAM, PREDICTIONS, RecordFit
from services.segment.engine.buying import Buyers, Buying, fit_buying
from services.segment.engine.spending import Spending, fit_spending
from services.segment.queries.predictions import Base, Predictions
from shared.clock import Clock
from shared.decider import Refused
from shared.envelope import Causation
from shared.events.prediction import BuyingParameters, SpendingParameters
from shared.eventstore import body_hash
from shared.execute import Command, Writer
from shared.jobs.job import Job
from shared.jobs.runner import Checkpoint

FIT = "fit_predictions"
SAMPLE = 50_000
"""Customers that parameters are fitted to, at most: more change no digit that matters."""
SEED = 20_050_401


@dataclass(frozen=True, slots=True)
class PredictionFit:
    """Fits both models; implements `JobKind`."""

    writer: Writer
    predictions: Predictions
    clock: Clock
    name: str = FIT

    async def run(self, job: Job, checkpoint: Checkpoint) -> None:
        """Read the base, fit, and record the parameters. Raises `Refused` with nothing to fit."""
        now = self.clock.now()
        base = await self.predictions.base(now)
        sample = sampled(base)
        try:
            buying, spending = await asyncio.to_thread(fit, sample)
        except ValueError as failure:
            raise Refused(
                "nothing-to-fit", 409, "There is nothing to learn from.", str(failure)
            ) from failure
        command = RecordFit(
            BuyingParameters(r=buying.r, alpha=buying.alpha, a=buying.a, b=buying.b),
            SpendingParameters(p=spending.p, q=spending.q, gamma=spending.gamma),
            customers=len(base.mean),
            sample=len(sample.mean),
            by=job.by,
            at=now,
        )
        await record(self.writer, job.id, command)
        await checkpoint(len(base.mean), {"fitted": 1}, [])


def sampled(base: Base) -> Base:
    """At most `SAMPLE` of the base, by chance."""
    size = len(base.mean)
    if size <= SAMPLE:
        return base
    chosen = np.random.default_rng(SEED).choice(size, SAMPLE, replace=False)
    buyers = base.buyers
    return Base(
        Buyers(buyers.repeats[chosen], buyers.recency[chosen], buyers.age[chosen]),
        base.mean[chosen],
    )


def fit(base: Base) -> tuple[Buying, Spending]:
    """Both models. Raises ValueError where there is nothing to fit."""
    return fit_buying(base.buyers), fit_spending(base.receipts, base.mean)


async def record(writer: Writer, job: str, command: RecordFit) -> None:
    """Note the parameters; those of one job once."""
    command_id = f"{FIT}|{job}"
    await writer.one(
        PREDICTIONS,
        Command(
            id=command_id,
            hash=body_hash(job),
            stream=PREDICTION_STREAM,
            key=PREDICTION_STREAM,
            body=command,
            causation=Causation(correlation=command_id),
        ),
    )
