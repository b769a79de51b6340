"""HTTP of how segments grew: by day, how long people stay, and where they go."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.segment.api.access import Reader, whole_chain
from services.segment.queries.calendar import DAY, Period, day_of
from services.segment.queries.definitions import Definitions
from services.segment.queries.history import Grown, History, Stays, Within
from shared.clock import Clock
from shared.decider import invalid

LONGEST = 1_100
"""Days of a period: three years."""
USUAL = 30
"""Days of a period that nobody said."""
YEARS = range(1970, 2170)
MOST_SEGMENTS = 20

First = Annotated[
    date | None, Query(alias="from", description=f"first day; {USUAL} days when left out")
]
Last = Annotated[date | None, Query(alias="to", description="last day; today when left out")]
Zone = Annotated[
    ZoneInfo | None, Query(description="IANA name of the zone whose days are meant; the chain's")
]


class GrowthDay(BaseModel):
    """One day: members when it began, and who entered and left in it."""

    day: str
    members: int
    entered: int
    exited: int


class Growth(BaseModel):
    """Every day of a period; members of a day + entered − exited = members of the next."""

    segment: str
    zone: str
    items: list[GrowthDay]


class StayFigures(BaseModel):
    """How long people stay; medians in seconds, null where there is nobody."""

    segment: str
    ended: int = Field(description="stays that ended in the period")
    median_seconds: float | None = Field(description="of those that ended")
    open: int = Field(description="stays that are not over now")
    median_age_seconds: float | None = Field(description="how long those have lasted so far")


class FlowRow(BaseModel):
    """Of who left one segment: which others they entered, from leaving on and in time."""

    segment: str
    exited: int = Field(description="how often somebody left in the period")
    nowhere: int = Field(description="of these, how many entered none of the segments in time")
    to: dict[str, int] = Field(description="by segment; itself: came back; several count in each")


class Flows(BaseModel):
    """A row for each segment that was asked for."""

    within: str
    items: list[FlowRow]


@dataclass(frozen=True, slots=True)
class HistoryApi:
    """The endpoints, on what they need."""

    definitions: Definitions
    history: History
    clock: Clock
    zone: ZoneInfo

    def router(self) -> APIRouter:
        """The routes below `/v1/segments`."""
        router = APIRouter(prefix="/v1", tags=["segments"])
        router.add_api_route("/segment-flows", self.flows, methods=["GET"])
        router.add_api_route("/segments/{name}/growth", self.growth, methods=["GET"])
        router.add_api_route("/segments/{name}/stays", self.stays, methods=["GET"])
        return router

    async def growth(
        self, name: str, calling: Reader, first: First = None, last: Last = None, zone: Zone = None
    ) -> Growth:
        """How the segment grew, day by day."""
        whole_chain(calling)
        await self.definitions.require(name)
        period = self._period(first, last, zone)
        found = await self.history.growth(name, period)
        return Growth(segment=name, zone=period.zone.key, items=[_day(each) for each in found])

    async def stays(
        self, name: str, calling: Reader, first: First = None, last: Last = None, zone: Zone = None
    ) -> StayFigures:
        """How long people stay in the segment."""
        whole_chain(calling)
        await self.definitions.require(name)
        period = self._period(first, last, zone)
        return _stays(name, await self.history.stays(name, period, self.clock.now()))

    async def flows(
        self,
        calling: Reader,
        segment: Annotated[
            list[str],
            Query(min_length=1, max_length=MOST_SEGMENTS, description="names, once for each"),
        ],
        *,
        within: Annotated[
            timedelta | Literal["day"],
            Query(description="an ISO 8601 span, or `day`: the same calendar day"),
        ] = "day",
        first: First = None,
        last: Last = None,
        zone: Zone = None,
    ) -> Flows:
        """Where those went who left a segment."""
        whole_chain(calling)
        for name in segment:
            await self.definitions.require(name)
        period = self._period(first, last, zone)
        if within == "day":
            soon, shown = Within(period.zone), "day"
        elif timedelta(0) < within <= timedelta(days=LONGEST):
            soon, shown = Within(period.zone, within), f"PT{within.total_seconds():.0f}S"
        else:
            raise invalid("within", f"is longer than nothing and at most {LONGEST} days")
        found = await self.history.flows(list(dict.fromkeys(segment)), period, soon)
        return Flows(
            within=shown,
            items=[
                FlowRow(
                    segment=row.segment, exited=row.exited, nowhere=row.nowhere, to=dict(row.to)
                )
                for row in found
            ],
        )

    def _period(self, first: date | None, last: date | None, zone: ZoneInfo | None) -> Period:
        """The period that was asked for. Raises `Refused` (422) that names what is wrong."""
        zone = zone or self.zone
        last = last or day_of(self.clock.now(), zone)
        if last.year not in YEARS:
            raise invalid("to", f"lies in the years {YEARS.start} to {YEARS.stop - 1}")
        first = first or last - (USUAL - 1) * DAY
        if first > last:
            raise invalid("from", "comes before `to`, or is the same day")
        if (last - first).days >= LONGEST:
            raise invalid("from", f"lies at most {LONGEST} days before `to`")
        return Period(first, last, zone)


def _day(grown: Grown) -> GrowthDay:
    return GrowthDay(
        day=grown.day, members=grown.members, entered=grown.entered, exited=grown.exited
    )


def _stays(name: str, stays: Stays) -> StayFigures:
    return StayFigures(
        segment=name,
        ended=stays.ended,
        median_seconds=None if stays.median is None else stays.median.total_seconds(),
        open=stays.open,
        median_age_seconds=None if stays.median_age is None else stays.median_age.total_seconds(),
    )
