"""Tills out: when each was last heard, and which of its numbers never came."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from services.interaction.queries.tills import Tills
from shared.access import Kind, Permission, Principal, scope
from shared.events.contract import Moment
from shared.http import principal

Reader = Annotated[Principal, Depends(principal(Permission.FACTS_READ))]


class GapView(BaseModel):
    """Numbers in a row that never came."""

    first: int
    last: int


class TillView(BaseModel):
    """A till, by what it has sent."""

    till: str
    last_recorded: Moment = Field(description="when something of it came last, by our clock")
    last_time: Moment = Field(description="its latest moment by its own clock")
    highest: int | None = Field(description="number of a receipt; null where it counts none")
    gaps: list[GapView] = Field(description="in its last 10,000 numbers, the latest 100 gaps")


class TillList(BaseModel):
    """The tills of a branch by name."""

    items: list[TillView]


@dataclass(frozen=True, slots=True)
class TillApi:
    """The endpoints, on what they need."""

    tills: Tills

    def router(self) -> APIRouter:
        """The route `/v1/tills`."""
        router = APIRouter(prefix="/v1", tags=["tills"])
        router.add_api_route("/tills", self.of_branch, methods=["GET"])
        return router

    async def of_branch(
        self, calling: Reader, branch: Annotated[str, Query(description="whose tills")]
    ) -> TillList:
        """The tills of a branch: last heard, highest number, gaps."""
        scope(calling, Kind.FACT).require(branch)
        return TillList(
            items=[
                TillView(
                    till=each.till,
                    last_recorded=each.recorded,
                    last_time=each.time,
                    highest=each.highest,
                    gaps=[GapView(first=first, last=last) for first, last in each.gaps],
                )
                for each in await self.tills.of_branch(branch)
            ]
        )
