"""The parameters that predictions are made with: one stream of versions, the last of which counts.

Older ones stay in the log, so that a prediction can say by which it was made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.decider import Decider, NewEvent
from shared.events.contract import EventData
from shared.events.prediction import BuyingParameters, ParametersFitted, SpendingParameters

PREDICTION_STREAM = "prediction"


@dataclass(frozen=True, slots=True)
class RecordFit:
    """What was fitted to a sample of the customers, from receipts before `at`."""

    buying: BuyingParameters
    spending: SpendingParameters
    customers: int
    sample: int
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Predicting:
    """The last parameters; None before the first."""

    fitted: ParametersFitted | None = None


def _decide(command: RecordFit, state: Predicting) -> Sequence[NewEvent]:
    number = 1 if state.fitted is None else state.fitted.parameters + 1
    fitted = ParametersFitted(
        parameters=number,
        until=command.at,
        customers=command.customers,
        sample=command.sample,
        buying=command.buying,
        spending=command.spending,
        by=command.by,
    )
    return (NewEvent(fitted, command.at),)


def _evolve(state: Predicting, data: EventData) -> Predicting:
    if isinstance(data, ParametersFitted):
        return replace(state, fitted=data)
    message = f"{data.type} does not belong to the stream of predictions"
    raise TypeError(message)


PREDICTIONS: Decider[RecordFit, Predicting] = Decider(Predicting, _decide, _evolve)
