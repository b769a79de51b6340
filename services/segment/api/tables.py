"""HTTP of tables of cut points: what they mean, their cells, and how a customer stands in them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.segment.api.access import Reader, Writing, whole_chain
from services.segment.api.definitions import Recorded
from services.segment.domain.tables import CUTS, DAY, DefineTable, TableState, cut_points, cuts_of
from services.segment.handlers import tables as handlers
from services.segment.handlers.definitions import Request
from services.segment.queries.scoring import Scoring, Tables, cells_of, figures_of
from services.segment.rules.instants import instant, show_span, span
from services.segment.rules.tables import Cuts, Table
from shared.clock import Clock
from shared.decider import invalid, not_found
from shared.events.contract import show_moment
from shared.execute import Writer
from shared.http import CommandId, etag
from shared.http.preconditions import IfMatchUnlessNew
from shared.jobs import Jobs

Four = Annotated[list[int], Field(min_length=CUTS, max_length=CUTS)]


class FixedInput(BaseModel):
    """Four cut points each, ascending: days, receipts, minor units."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recency: Four
    frequency: Four
    monetary: Four


class TableInput(BaseModel):
    """What a table looks at; without `fixed` it divides the base into fifths."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(max_length=200)
    look_back: str = Field(max_length=30, description="ISO 8601 duration, such as P365D")
    branch: str | None = Field(default=None, min_length=1, max_length=100)
    fixed: FixedInput | None = None
    every: str | None = Field(
        default=None, max_length=30, description="how often the base is divided anew"
    )


class CutView(BaseModel):
    """What divides the base: days, receipts, minor units; see `segment.cut_points_set`."""

    recency: list[int]
    frequency: list[int]
    monetary: list[int]


class PercentileView(BaseModel):
    """The 99 cut points of each number."""

    spent: list[int]
    receipts: list[int]
    average: list[int]


class TableView(BaseModel):
    """A table; `cuts` and `percentiles` are null until they are set."""

    name: str
    version: int
    title: str
    look_back: str
    branch: str | None
    fixed: bool
    every: str | None
    base: int | None = Field(description="customers that it was divided by")
    cuts: CutView | None
    percentiles: PercentileView | None


class TableList(BaseModel):
    """All tables by name."""

    items: list[TableView]


class CellView(BaseModel):
    """Who has these scores of recency, frequency and monetary."""

    cell: str
    customers: int
    turnover: int


class CellTable(BaseModel):
    """The cells that anybody is in, the best first; exact at the moment of asking."""

    name: str
    at: str
    look_back: str
    branch: str | None
    customers: int
    turnover: int
    cuts: CutView
    items: list[CellView]


class StandingView(BaseModel):
    """How a customer stands in a table; null where there are no cut points yet."""

    table: str
    receipts: int
    spent: int
    cell: str | None
    recency: int | None
    frequency: int | None
    monetary: int | None
    percentile_spent: int | None
    percentile_receipts: int | None
    percentile_average: int | None


class CustomerStandings(BaseModel):
    """In each table in which the customer has a receipt."""

    customer: str
    at: str
    items: list[StandingView]


class JobBegun(BaseModel):
    """The job that does it; see `/v1/jobs/{id}`."""

    job: str


@dataclass(frozen=True, slots=True)
class TableApi:
    """The endpoints, on what they need."""

    writer: Writer
    tables: Tables
    scoring: Scoring
    jobs: Jobs
    clock: Clock
    horizon: timedelta

    def router(self) -> APIRouter:
        """The routes below `/v1/rfm`, and the standing of a customer."""
        router = APIRouter(prefix="/v1", tags=["rfm"])
        router.add_api_route("/rfm", self.all, methods=["GET"])
        router.add_api_route("/rfm/{name}", self.get, methods=["GET"])
        router.add_api_route("/rfm/{name}", self.define, methods=["PUT"])
        router.add_api_route(
            "/rfm/{name}/recompute", self.recompute, methods=["POST"], status_code=202
        )
        router.add_api_route("/rfm/{name}/table", self.cells, methods=["GET"])
        router.add_api_route("/customers/{customer}/rfm", self.standing, methods=["GET"])
        return router

    async def all(self, calling: Reader) -> TableList:
        """All tables."""
        whole_chain(calling)
        found = await self.tables.all()
        return TableList(items=[_view(name, state) for name, state in found.items()])

    async def get(self, name: str, calling: Reader, response: Response) -> TableView:
        """One table with its cut points."""
        whole_chain(calling)
        state = await self.tables.require(name)
        response.headers["ETag"] = etag(state.version)
        return _view(name, state)

    async def define(
        self,
        name: str,
        body: TableInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Recorded:
        """Give the table its (new) meaning; the same again changes nothing. Needs `If-Match`."""
        whole_chain(calling)
        fixed = body.fixed
        command = DefineTable(
            name, body.title, body.look_back, self.clock.now(), body.branch,
            None if fixed is None
            else (tuple(fixed.recency), tuple(fixed.frequency), tuple(fixed.monetary)),
            body.every, calling.id, rests_on,
        )  # fmt: skip
        request = Request(command_id, body.model_dump(mode="json"), command.at)
        done = await handlers.define(self.writer, self.horizon, request, command)
        response.headers["ETag"] = etag(done.version)
        return Recorded(name=name, version=done.version, repeated=done.repeated)

    async def recompute(self, name: str, calling: Writing, command_id: CommandId) -> JobBegun:
        """Divide the base anew, now."""
        whole_chain(calling)
        await self.tables.require(name)
        job = await self.jobs.begin(
            handlers.CUT_POINTS, calling.id, {"table": name},
            job_id=handlers.recompute_job(command_id), asked=name,
        )  # fmt: skip
        return JobBegun(job=job.id)

    async def cells(
        self,
        name: str,
        calling: Reader,
        look_back: Annotated[
            str | None, Query(max_length=30, description="another one than the table's: P30D")
        ] = None,
        branch: Annotated[
            str | None, Query(min_length=1, max_length=100, description="its receipts alone")
        ] = None,
    ) -> CellTable:
        """Who is in which cell, and what they spent.

        With another look-back or branch the base is divided there and then, into fifths.
        """
        whole_chain(calling)
        table = (await self.tables.require(name)).table
        if table is None:
            raise not_found("table", name)
        now = self.clock.now()
        at = instant(now)
        if look_back is not None or branch is not None:
            length = table.look_back if look_back is None else _look_back(look_back, self.horizon)
            table = Table(length, branch or table.branch)
        base = await self.scoring.all(table, at)
        cuts = table.cuts or cuts_of(cut_points(name, base))
        return CellTable(
            name=name,
            at=show_moment(now),
            look_back=show_span(table.look_back),
            branch=table.branch,
            customers=len(base),
            turnover=sum(figures.spent for figures in base),
            cuts=_cut_view(cuts),
            items=[
                CellView(cell=cell, customers=each.customers, turnover=each.turnover)
                for cell, each in cells_of(base, cuts).items()
            ],
        )

    async def standing(self, customer: str, calling: Reader) -> CustomerStandings:
        """How a customer stands in each table now."""
        whole_chain(calling)
        profile = await self.scoring.profiles.get(customer)
        if profile is None:
            raise not_found("customer", customer)
        now = self.clock.now()
        items = []
        for name, state in (await self.tables.all()).items():
            table = state.table
            if table is None or (seen := figures_of(profile, table, instant(now))) is None:
                continue
            scores = None if table.cuts is None else table.cuts.scores(seen)
            percents = None if table.percentiles is None else table.percentiles.of(seen)
            items.append(
                StandingView(
                    table=name,
                    receipts=seen.receipts,
                    spent=seen.spent,
                    cell=scores and scores.cell,
                    recency=scores and scores.recency,
                    frequency=scores and scores.frequency,
                    monetary=scores and scores.monetary,
                    percentile_spent=None if percents is None else percents.spent,
                    percentile_receipts=None if percents is None else percents.receipts,
                    percentile_average=None if percents is None else percents.average,
                )
            )
        return CustomerStandings(customer=customer, at=show_moment(now), items=items)


def _look_back(text: str, horizon: timedelta) -> int:
    try:
        length = span(text)
    except ValueError as error:
        raise invalid("look_back", str(error)) from error
    if timedelta(milliseconds=length) > horizon:
        raise invalid("look_back", "looks further back than receipts are kept one by one")
    return length


def _view(name: str, state: TableState) -> TableView:
    defined, cut, table = state.defined, state.cut, state.table
    if defined is None or table is None:
        raise not_found("table", name)
    percents = table.percentiles
    return TableView(
        name=name,
        version=state.version,
        title=defined.title,
        look_back=defined.look_back,
        branch=defined.branch,
        fixed=defined.recency is not None,
        every=defined.every,
        base=None if cut is None else cut.base,
        cuts=None if table.cuts is None else _cut_view(table.cuts),
        percentiles=None
        if percents is None
        else PercentileView(
            spent=list(percents.spent),
            receipts=list(percents.receipts),
            average=list(percents.average),
        ),
    )


def _cut_view(cuts: Cuts) -> CutView:
    return CutView(
        recency=[age // DAY for age in cuts.recency],
        frequency=list(cuts.frequency),
        monetary=list(cuts.monetary),
    )
