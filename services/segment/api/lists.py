"""HTTP of static lists: what there are, and who is put on them or taken off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from services.segment.api.access import Reader, Writing, whole_chain
from services.segment.api.definitions import Recorded
from services.segment.api.predictions import DAYS, MOST_DAYS
from services.segment.api.tables import JobBegun
from services.segment.domain import rule_of
from services.segment.domain.lists import NameList, StaticList
from services.segment.handlers import lists as handlers
from services.segment.handlers.definitions import Request
from services.segment.handlers.filling import FILL, asked_for, fill_job
from services.segment.handlers.lists import Change, Entry, ListWriting
from services.segment.queries.definitions import Definitions
from services.segment.queries.lists import ListMembers, StaticLists
from services.segment.queries.predictions import Predictions
from services.segment.queries.rules import PresentRules
from services.segment.rules.language.tree import to_json
from shared.access import Principal
from shared.clock import Clock
from shared.decider import Refused, invalid
from shared.events.lists import ListCause
from shared.execute import Done, Outcome, Writer
from shared.http import BatchAnswer, CommandId, RawItems, batch_body, batch_response, etag
from shared.http.batches import in_order, parse_items
from shared.http.preconditions import IfMatchUnlessNew
from shared.jobs import Jobs

Customer = Annotated[str, Path(min_length=1, max_length=100)]


class ListInput(BaseModel):
    """What a list is called."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(max_length=200)


class CustomerInput(BaseModel):
    """Somebody to be put on the list, or taken off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: str = Field(min_length=1, max_length=100)

    @property
    def id(self) -> str:
        """The customer."""
        return self.customer


Share = Annotated[float, Field(ge=0, le=1)]


class PredictionInput(BaseModel):
    """Of whom a prediction of the next `days` says all of this; see `/v1/predictions`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: int = Field(default=DAYS, ge=1, le=MOST_DAYS)
    churn_risk_at_least: Share | None = None
    churn_risk_at_most: Share | None = None
    receipts_at_least: float | None = Field(default=None, gt=0, le=1_000_000)
    turnover_at_least_minor: int | None = Field(default=None, ge=1, le=10**15)

    @model_validator(mode="after")
    def _can_mean_somebody(self) -> Self:
        if not self.model_fields_set - {"days"}:
            message = "gives a bound, such as churn_risk_at_least"
            raise ValueError(message)
        least, most = self.churn_risk_at_least, self.churn_risk_at_most
        if least is not None and most is not None and least > most:
            message = "churn_risk_at_least is not above churn_risk_at_most"
            raise ValueError(message)
        return self


class FillInput(BaseModel):
    """Whom to put on the list: who is in a segment, or whom a rule or a prediction means, now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    segment: str | None = Field(default=None, min_length=1, max_length=100)
    rule: dict[str, Any] | None = None
    prediction: PredictionInput | None = None


class ListView(BaseModel):
    """A list, and how many are on it now."""

    name: str
    title: str
    archived: bool
    members: int = Field(description="exact")


class ListPage(BaseModel):
    """All lists by name."""

    items: list[ListView]


class Changed(BaseModel):
    """What became of one customer; `changed` is false where it was so already."""

    customer: str
    version: int
    changed: bool
    repeated: bool


_ITEM = TypeAdapter(CustomerInput)
_ALL_BUT_ONE = 2


@dataclass(frozen=True, slots=True)
class ListApi:
    """The endpoints, on what they need."""

    writer: Writer
    lists: StaticLists
    writing: ListWriting
    members: ListMembers
    definitions: Definitions
    rules: PresentRules
    predictions: Predictions
    jobs: Jobs
    clock: Clock
    horizon: timedelta

    def router(self) -> APIRouter:
        """The routes below `/v1/lists`."""
        router = APIRouter(prefix="/v1/lists", tags=["lists"])
        router.add_api_route("", self.all, methods=["GET"])
        router.add_api_route("/{name}", self.get, methods=["GET"])
        router.add_api_route("/{name}", self.define, methods=["PUT"])
        router.add_api_route("/{name}/archive", self.archive, methods=["POST"])
        router.add_api_route(
            "/{name}/fill", self.fill, methods=["POST"], status_code=HTTPStatus.ACCEPTED
        )
        one = "/{name}/members/{customer}"
        router.add_api_route(one, self.put_on, methods=["PUT"])
        router.add_api_route(one, self.take_off, methods=["DELETE"])
        for path, batch in (("add", self.add_batch), ("remove", self.remove_batch)):
            router.add_api_route(
                f"/{{name}}/members/{path}",
                batch,
                methods=["POST"],
                response_class=Response,
                responses={200: {"model": BatchAnswer}},
                openapi_extra=batch_body(_ITEM),
            )
        return router

    async def all(self, calling: Reader) -> ListPage:
        """All lists, archived ones too."""
        whole_chain(calling)
        found = await self.lists.all()
        return ListPage(items=[await self._view(name, each) for name, each in found.items()])

    async def get(self, name: str, calling: Reader, response: Response) -> ListView:
        """One list."""
        whole_chain(calling)
        found = await self.lists.require(name)
        response.headers["ETag"] = etag(found.version)
        return await self._view(name, found)

    async def define(
        self,
        name: str,
        body: ListInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Recorded:
        """Begin a list, or give it another title, which needs `If-Match`."""
        whole_chain(calling)
        now = self.clock.now()
        command = NameList(name, body.title, now, calling.id, rests_on)
        done = await handlers.name_list(
            self.writer, Request(command_id, body.model_dump(mode="json"), now), command
        )
        response.headers["ETag"] = etag(done.version)
        return Recorded(name=name, version=done.version, repeated=done.repeated)

    async def archive(self, name: str, calling: Writing, command_id: CommandId) -> Recorded:
        """Use the list no more; who is on it, and was, stays known."""
        whole_chain(calling)
        request = Request(command_id, "archive", self.clock.now())
        done = await handlers.archive_list(self.writer, request, name, calling.id)
        return Recorded(name=name, version=done.version, repeated=done.repeated)

    async def put_on(
        self, name: str, customer: Customer, calling: Writing, command_id: CommandId
    ) -> Changed:
        """Put a customer on the list; who was merged is put on it as the survivor."""
        return await self._one(name, customer, calling, command_id, on=True)

    async def take_off(
        self, name: str, customer: Customer, calling: Writing, command_id: CommandId
    ) -> Changed:
        """Take a customer off the list."""
        return await self._one(name, customer, calling, command_id, on=False)

    async def add_batch(
        self, name: str, items: RawItems, calling: Writing, command_id: CommandId
    ) -> Response:
        """Put up to 1,000 customers on the list, each with an answer of its own."""
        return await self._batch(name, items, calling, command_id, on=True)

    async def remove_batch(
        self, name: str, items: RawItems, calling: Writing, command_id: CommandId
    ) -> Response:
        """Take up to 1,000 customers off the list, each with an answer of its own."""
        return await self._batch(name, items, calling, command_id, on=False)

    async def fill(
        self, name: str, body: FillInput, calling: Writing, command_id: CommandId
    ) -> JobBegun:
        """Put on the list who is in a segment now, or whom an unsaved rule or a prediction means.

        Once and for all: who comes in later is not put on it, nobody is taken off.
        """
        whole_chain(calling)
        now = self.clock.now()
        await self.lists.require_standing(name)
        if [body.segment, body.rule, body.prediction].count(None) != _ALL_BUT_ONE:
            raise invalid("segment", "is given, or else `rule`, or `prediction`")
        what = await self._meant(body, now)
        asked = [name, body.segment, what.get("rule")]
        job = await self.jobs.begin(
            FILL,
            calling.id,
            asked_for(name, now, what),
            job_id=fill_job(command_id),
            asked=[*asked, what["prediction"]] if body.prediction else asked,
        )
        return JobBegun(job=job.id)

    async def _meant(self, body: FillInput, now: datetime) -> Mapping[str, Any]:
        """Whom the fill means, as its job keeps it. Raises `Refused` that says what is wrong."""
        if body.prediction is not None:
            fitted = await self.predictions.require_fitted()
            wanted = body.prediction.model_dump(exclude_none=True)
            return {"prediction": wanted, "fitted": fitted.model_dump(mode="json")}
        if body.segment is not None:
            await self.definitions.require(body.segment)
            return {"segment": body.segment}
        parsed = rule_of(body.rule or {}, self.horizon, now)
        await self.rules.require_named(parsed)
        return {"rule": to_json(parsed)}

    async def _view(self, name: str, found: StaticList) -> ListView:
        return ListView(
            name=name,
            title=found.title,
            archived=found.archived,
            members=await self.members.count(name, None),
        )

    async def _one(
        self, name: str, customer: str, calling: Principal, command_id: str, *, on: bool
    ) -> Changed:
        outcomes = await self._change(name, [customer], calling, command_id, on=on)
        (outcome,) = outcomes
        if isinstance(outcome, Refused):
            raise outcome
        return Changed(
            customer=customer_of(outcome),
            version=outcome.version,
            changed=outcome.changed,
            repeated=outcome.repeated,
        )

    async def _batch(
        self, name: str, items: Sequence[bytes], calling: Principal, command_id: str, *, on: bool
    ) -> Response:
        parsed = parse_items(_ITEM, items)
        customers = [each.customer for each in parsed if not isinstance(each, Refused)]
        outcomes = await self._change(name, customers, calling, command_id, on=on)
        return batch_response(in_order(parsed, outcomes))

    async def _change(
        self, name: str, customers: Sequence[str], calling: Principal, command_id: str, *, on: bool
    ) -> Sequence[Outcome]:
        whole_chain(calling)
        await self.lists.require_standing(name)
        cause = ListCause(kind="hand", by=calling.id)
        change = Change(name, on=on, cause=cause, at=self.clock.now(), correlation=command_id)
        entries = [Entry(f"{command_id}|{each}", each) for each in customers]
        return await self.writing.change(change, entries)


def customer_of(done: Done) -> str:
    """Whose lists were changed: the survivor's, of who was merged."""
    return done.stream.removeprefix("lists-")
