"""HTTP of predictions: have the models fitted, see the parameters, ask about a customer."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.segment.api.access import Reader, Writing, whole_chain
from services.segment.handlers.predicting import FIT
from services.segment.queries.activity import Activities
from services.segment.queries.predictions import Predictions, predicted
from shared.clock import Clock
from shared.decider import Refused, not_found
from shared.events.prediction import ParametersFitted
from shared.http import CommandId
from shared.ids import derived_id
from shared.jobs import Jobs

DAYS = 90
"""The period that is predicted unless another is asked for."""

MOST_DAYS = 730

Days = Annotated[int, Query(ge=1, le=MOST_DAYS, description="of the period that begins now")]


class FitBegun(BaseModel):
    """The job that fits the models: `/v1/jobs/{job}` follows it."""

    job: str


class PredictionView(BaseModel):
    """What is expected of a customer, were they like others who bought as they did."""

    customer: str
    parameters: int = Field(description="version of the parameters")
    days: int
    receipts: int = Field(description="of the customer so far")
    alive: float = Field(description="probability that they still buy")
    churn_risk: float = Field(description="1 − `alive`")
    expected_receipts: float = Field(description="in the next `days`")
    expected_turnover_minor: int = Field(description="in the next `days`, net")


@dataclass(frozen=True, slots=True)
class PredictionApi:
    """The endpoints, on what they need."""

    predictions: Predictions
    activities: Activities
    jobs: Jobs
    clock: Clock

    def router(self) -> APIRouter:
        """The routes below `/v1/predictions`, and the prediction of a customer."""
        router = APIRouter(prefix="/v1", tags=["predictions"])
        router.add_api_route("/predictions", self.parameters, methods=["GET"])
        router.add_api_route("/predictions/fit", self.fit, methods=["POST"], status_code=202)
        router.add_api_route("/customers/{customer}/prediction", self.of_customer, methods=["GET"])
        return router

    async def fit(self, calling: Writing, command_id: CommandId) -> FitBegun:
        """Have the models fitted to all receipts there are."""
        whole_chain(calling)
        job = await self.jobs.begin(FIT, calling.id, {}, job_id=derived_id(FIT, command_id))
        return FitBegun(job=job.id)

    async def parameters(self, calling: Reader) -> ParametersFitted:
        """The parameters that predictions are made with."""
        whole_chain(calling)
        return await self.predictions.require_fitted()

    async def of_customer(
        self, customer: str, calling: Reader, days: Days = DAYS
    ) -> PredictionView:
        """Whether the customer still buys, and what is to be expected of them."""
        whole_chain(calling)
        activity = await self.activities.get(customer)
        if activity is None or activity.away or activity.erased:
            raise not_found("customer", customer)
        fitted = await self.predictions.require_fitted()
        found = predicted(activity, fitted, self.clock.now(), days)
        if found is None:
            raise Refused("never-bought", 409, "Of who has never bought nothing can be said.")
        return PredictionView(
            customer=customer,
            parameters=fitted.parameters,
            days=days,
            receipts=found.receipts,
            alive=found.alive,
            churn_risk=1 - found.alive,
            expected_receipts=found.expected_receipts,
            expected_turnover_minor=round(found.expected_turnover),
        )
