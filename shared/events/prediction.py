"""Events of predictions: what the models of buying were found to be."""

from typing import ClassVar

from pydantic import Field

from shared.events.contract import EventData, Moment, Part


class BuyingParameters(Part):
    """BG/NBD: rates are Gamma(r, alpha weeks), chances of leaving for good Beta(a, b)."""

    r: float = Field(gt=0)
    alpha: float = Field(gt=0)
    a: float = Field(gt=0)
    b: float = Field(gt=0)


class SpendingParameters(Part):
    """Gamma-Gamma: receipts are Gamma(p, v), and v is Gamma(q, gamma minor units)."""

    p: float = Field(gt=0)
    q: float = Field(gt=1)
    gamma: float = Field(gt=0)


class ParametersFitted(EventData):
    """From now on predictions are made with these parameters."""

    type: ClassVar[str] = "prediction.parameters_fitted.v1"
    parameters: int = Field(ge=1, description="version of the parameters, from 1")
    until: Moment = Field(description="receipts before this moment were looked at")
    customers: int = Field(ge=1, description="who have bought")
    sample: int = Field(ge=1, description="of these, those that the parameters were fitted to")
    buying: BuyingParameters
    spending: SpendingParameters
    by: str | None = Field(default=None, description="id of the principal who asked")


EVENTS: tuple[type[EventData], ...] = (ParametersFitted,)
