"""HTTP of series: their definitions, how they stand, and where customers stand in them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from services.notify.api.access import Reader, Writing, whole_chain
from services.notify.api.campaign_input import Input
from services.notify.api.campaign_views import Recorded, recorded
from services.notify.api.series_input import SeriesInput
from services.notify.domain.series import SeriesState, Steering
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.series import SeriesBook, SeriesEntry
from services.notify.handlers.campaigns.requests import Request
from services.notify.handlers.series.requests import define_series, require_running, steer_series
from services.notify.projections.journeys import OPEN, JourneyDocument
from services.notify.queries import Journeys
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.decider import not_found
from shared.events.contract import show_moment
from shared.events.series import KnownEntry, KnownSign, KnownStep, SeriesDefined
from shared.execute import Writer
from shared.http import CommandId, Cursor, Limit, Page, cursor_of, etag, page_of, position_of
from shared.http.preconditions import IfMatchUnlessNew


class SeriesDefinitionView(BaseModel):
    """What customers go through."""

    title: str
    entry: KnownEntry
    steps: tuple[KnownStep, ...]
    exits: tuple[KnownSign, ...]
    reentry: str
    reentry_after: str | None
    start: str | None
    end: str | None
    owner: str | None


class SeriesView(SeriesDefinitionView):
    """A series: what it says, how it stands, and how many are on their way."""

    name: str
    version: int
    state: SeriesState
    open_journeys: int


class SeriesVersionView(SeriesDefinitionView):
    """A definition that the series has or had."""

    version: int = Field(description="of the series' stream, with which it came")
    defined_at: str


class SeriesVersions(BaseModel):
    """All definitions of a series, the newest first."""

    series: str
    items: list[SeriesVersionView]


class JourneyView(BaseModel):
    """Where a customer stands: on the last journey through the series."""

    series: str
    customer: str
    number: int = Field(description="of the customer's journeys through it; 0: none has begun")
    version: int = Field(description="of the series, whose steps it goes through")
    state: str = Field(description="open, or how it ended; noted: an occasion is being looked at")
    step: str | None = Field(description="the step at which it stands, or the last one behind it")
    outcome: str | None = Field(description="how that step went, where it is behind it")
    entered_at: str | None
    since: str | None = Field(description="since when it stands there")
    until: str | None = Field(description="when it goes on by itself")
    ended_at: str | None


class SteerSeriesInput(Input):
    """Nothing is to be said."""


@dataclass(frozen=True, slots=True)
class SeriesApi:
    """The endpoints, on what they need."""

    writer: Writer
    book: SeriesBook
    campaigns: CampaignBook
    journeys: Journeys
    clock: Clock

    def router(self) -> APIRouter:
        """The routes below `/v1/series`."""
        router = APIRouter(prefix="/v1/series", tags=["series"])
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("/{name}", self.get, methods=["GET"])
        router.add_api_route("/{name}", self.define, methods=["PUT"])
        router.add_api_route("/{name}/versions", self.versions, methods=["GET"])
        router.add_api_route("/{name}/start", self.start, methods=["POST"])
        router.add_api_route("/{name}/pause", self.pause, methods=["POST"])
        router.add_api_route("/{name}/resume", self.resume, methods=["POST"])
        router.add_api_route("/{name}/stop", self.stop, methods=["POST"])
        router.add_api_route("/{name}/journeys", self.of_series, methods=["GET"])
        router.add_api_route("/{name}/journeys/{customer}", self.of_customer, methods=["GET"])
        return router

    async def page(
        self, calling: Reader, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[SeriesView]:
        """Series by name."""
        whole_chain(calling)
        after = position_of(cursor, str) or ""
        entries = sorted((await self.book.now()).values(), key=lambda entry: entry.name)
        found = [entry for entry in entries if entry.name > after][: limit + 1]
        views = [await self._view(entry) for entry in found]
        return page_of(views, limit, lambda view: view.name)

    async def get(self, name: str, calling: Reader, response: Response) -> SeriesView:
        """One series."""
        whole_chain(calling)
        view = await self._view(await self.book.require(name))
        response.headers["ETag"] = etag(view.version)
        return view

    async def versions(self, name: str, calling: Reader, response: Response) -> SeriesVersions:
        """Every definition that the series ever had, the newest first."""
        whole_chain(calling)
        entry = await self.book.require(name)
        response.headers["ETag"] = etag(entry.series.version)
        items = [
            SeriesVersionView(
                **_shown(each.definition), version=each.number, defined_at=show_moment(each.at)
            )
            for each in reversed(entry.course.versions)
        ]
        return SeriesVersions(series=name, items=items)

    async def define(
        self,
        name: str,
        body: SeriesInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Recorded:
        """Give the series its (new) definition; the same again changes nothing.

        Another one needs `If-Match`. Who is on the way goes on through the steps of before.
        """
        whole_chain(calling)
        request = Request(command_id, body.model_dump(mode="json"), self.clock.now())
        campaigns = await self.campaigns.now()
        done = await define_series(self.writer, request, body.definition(name), campaigns, rests_on)
        return recorded(name, done, response)

    async def start(
        self,
        name: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        _body: SteerSeriesInput | None = None,
    ) -> Recorded:
        """Let customers enter from now on. The campaigns of its steps must run (409)."""
        whole_chain(calling)
        definition = (await self.book.require(name)).series.definition
        if definition is not None:
            require_running(definition, await self.campaigns.now())
        return await self._steer("start", name, calling, command_id, response)

    async def pause(
        self,
        name: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        _body: SteerSeriesInput | None = None,
    ) -> Recorded:
        """Let journeys stand still until it is resumed; customers enter all the same."""
        return await self._steer("pause", name, calling, command_id, response)

    async def resume(
        self,
        name: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        _body: SteerSeriesInput | None = None,
    ) -> Recorded:
        """Let journeys go on; what was due since the pause is due now."""
        return await self._steer("resume", name, calling, command_id, response)

    async def stop(
        self,
        name: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        _body: SteerSeriesInput | None = None,
    ) -> Recorded:
        """End every journey; what has not been handed over yet is not sent any more."""
        return await self._steer("stop", name, calling, command_id, response)

    async def of_series(
        self,
        name: str,
        calling: Reader,
        *,
        state: Annotated[str | None, Query(max_length=20)] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[JourneyView]:
        """Where customers stand, by customer; with `state` those that stand so (`open`, …)."""
        _sees_customers(calling)
        await self.book.require(name)
        after = position_of(cursor, str) or ""
        found = await self.journeys.of_series(name, state, after, limit + 1)
        shown = found[:limit]
        return Page[JourneyView](
            items=[_journey(each) for each in shown],
            next_cursor=cursor_of(shown[-1].customer) if len(found) > limit else None,
        )

    async def of_customer(self, name: str, customer: str, calling: Reader) -> JourneyView:
        """Where one customer stands."""
        _sees_customers(calling)
        found = await self.journeys.of_customer(name, customer)
        if found is None:
            kind = "journey"
            raise not_found(kind, customer)
        return _journey(found)

    async def _steer(
        self,
        steering: Steering,
        name: str,
        calling: Principal,
        command_id: str,
        response: Response,
    ) -> Recorded:
        whole_chain(calling)
        request = Request(command_id, steering, self.clock.now())
        return recorded(name, await steer_series(self.writer, request, name, steering), response)

    async def _view(self, entry: SeriesEntry) -> SeriesView:
        definition = entry.series.definition
        if definition is None:
            kind = "series"
            raise not_found(kind, entry.name)
        return SeriesView(
            **_shown(definition),
            name=entry.name,
            version=entry.series.version,
            state=entry.series.state,
            open_journeys=await self.journeys.count(entry.name, OPEN),
        )


def _sees_customers(calling: Principal) -> None:
    whole_chain(calling)
    calling.require(Permission.CUSTOMERS_READ)
    scope(calling, Kind.CUSTOMER).require(None)


def _shown(definition: SeriesDefined) -> dict[str, Any]:
    shown = {name: getattr(definition, name) for name in SeriesDefinitionView.model_fields}
    return shown | {"start": _moment(definition.start), "end": _moment(definition.end)}


def _journey(journey: JourneyDocument) -> JourneyView:
    return JourneyView(
        series=journey.series,
        customer=journey.customer,
        number=journey.number,
        version=journey.version,
        state=journey.state,
        step=journey.step,
        outcome=journey.outcome,
        entered_at=_moment(journey.entered),
        since=_moment(journey.since),
        until=_moment(journey.until),
        ended_at=_moment(journey.ended),
    )


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else show_moment(moment)
