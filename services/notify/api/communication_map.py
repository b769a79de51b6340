"""HTTP of the communication map: who is spoken to, on what occasion, and what it brought."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from services.notify.api.access import Reader, whole_chain
from services.notify.domain.communication import (
    Communication,
    communications,
    crowded,
    unaddressed,
)
from services.notify.domain.uplift import Group
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.series import SeriesBook
from services.notify.queries import Effects, Figures, Outcomes
from services.notify.queries.figures import Told
from services.notify.queries.segments import Segments
from shared.events.campaign import KnownTrigger, Purpose
from shared.events.contract import show_moment
from shared.events.customer import Channel
from shared.tables import Cell, CsvWriter

Form = Annotated[
    Literal["json", "csv"], Query(alias="format", description="the whole map, or its lines alone")
]


class LineView(BaseModel):
    """A campaign, or one as a step of a series: occasion, whom, by what, when, what it brought."""

    campaign: str
    title: str
    series: str | None = Field(description="whose step it is; the occasion is that of the series")
    occasion: KnownTrigger
    segment: str | None
    list: str | None
    channels: tuple[Channel, ...] = Field(description="in the order in which they are tried")
    topic: str
    purpose: Purpose
    owner: str | None
    branch: str | None
    state: str
    live: bool = Field(description="it speaks now, or notes occasions while it is paused")
    start: str | None
    end: str | None
    sent: int = Field(description="in all, as are all figures that follow: of all series together")
    people: int
    opened: int = Field(description="customers")
    clicked: int = Field(description="customers")
    unsubscribed: int = Field(description="customers")
    buyers: int
    turnover_minor: int


class SegmentView(BaseModel):
    """A segment."""

    segment: str
    title: str


class CrowdedView(BaseModel):
    """A segment that several campaigns address at the same time."""

    segment: str
    title: str | None
    campaigns: Sequence[str]


class MapView(BaseModel):
    """The communication map."""

    lines: Sequence[LineView]
    unaddressed: Sequence[SegmentView] = Field(description="segments to which nothing speaks now")
    crowded: Sequence[CrowdedView]


@dataclass(frozen=True, slots=True)
class MapApi:
    """The endpoint, on what it needs."""

    book: CampaignBook
    series: SeriesBook
    figures: Figures
    effects: Effects
    segments: Segments

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter(tags=["campaigns"])
        router.add_api_route(
            "/v1/communication-map",
            self.of_all,
            methods=["GET"],
            response_model=MapView,
            responses={200: {"content": {"text/csv": {}}}},
        )
        return router

    async def of_all(self, calling: Reader, form: Form = "json") -> MapView | Response:
        """All campaigns by occasion, segment, channel and time, with what they brought."""
        whole_chain(calling)
        campaigns = {name: each.campaign for name, each in (await self.book.now()).items()}
        series = {name: each.series for name, each in (await self.series.now()).items()}
        lines = communications(campaigns, series)
        views = await self._lines(lines)
        if form == "csv":
            return _table(views)
        titles = await self.segments.standing()
        return MapView(
            lines=views,
            unaddressed=[
                SegmentView(segment=each, title=titles[each]) for each in unaddressed(lines, titles)
            ],
            crowded=[
                CrowdedView(segment=each, title=titles.get(each), campaigns=names)
                for each, names in crowded(lines).items()
            ],
        )

    async def _lines(self, lines: Sequence[Communication]) -> list[LineView]:
        names = {each.campaign for each in lines}
        outcomes = await self.figures.of(names)
        told = await self.figures.told(names)
        effect = await self.effects.of(names)
        return [
            _line(
                each,
                outcomes.get(each.campaign, Outcomes()),
                told.get(each.campaign, Told()).people,
                effect.all(each.campaign, "sent"),
            )
            for each in lines
        ]


def _line(
    line: Communication, outcomes: Outcomes, people: Mapping[str, int], bought: Group
) -> LineView:
    said = line.definition
    return LineView.model_validate(
        {
            "campaign": line.campaign,
            "title": said.title,
            "series": line.series,
            "occasion": line.trigger,
            "segment": line.segment,
            "list": line.list,
            "channels": (said.channel, *said.fallback),
            "topic": said.topic,
            "purpose": said.purpose,
            "owner": said.owner,
            "branch": said.branch,
            "state": line.state,
            "live": line.live,
            "start": None if line.start is None else show_moment(line.start),
            "end": None if line.end is None else show_moment(line.end),
            "sent": outcomes.sent,
            "people": people["reached"],
            "opened": people["opened"],
            "clicked": people["clicked"],
            "unsubscribed": people["left"],
            "buyers": bought.buyers,
            "turnover_minor": bought.turnover,
        }
    )


def _table(lines: Sequence[LineView]) -> Response:
    """The lines as a table; an occasion is its kind, and channels are one cell."""
    columns = list(LineView.model_fields)
    with CsvWriter(columns) as table:
        text = table.add([[_cell(line, column) for column in columns] for line in lines])
    return Response(
        text,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="communication-map.csv"'},
    )


def _cell(line: LineView, column: str) -> Cell:
    match column:
        case "occasion":
            return line.occasion.kind
        case "channels":
            return " ".join(line.channels)
        case _:
            value: Cell = getattr(line, column)
            return value
