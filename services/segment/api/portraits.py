"""HTTP of portraits: what sets the members of a segment apart."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.segment.api.access import Reader, whole_chain
from services.segment.queries.definitions import Definitions
from services.segment.queries.portraits import Portraits, Share
from shared.clock import Clock


class ShareView(BaseModel):
    """How many have a value of an attribute."""

    attribute: str
    value: str
    members: int
    base: int
    member_share: float
    base_share: float
    lift: float = Field(description="`member_share` by `base_share`")
    score: float = Field(
        description="standard deviations by which the log-odds of members are above the others'"
    )


class PortraitView(BaseModel):
    """Members beside the base; what sets them apart the most, either way, comes first."""

    segment: str
    members: int
    base: int
    items: list[ShareView]


@dataclass(frozen=True, slots=True)
class PortraitApi:
    """The endpoint, on what it needs."""

    definitions: Definitions
    portraits: Portraits
    clock: Clock

    def router(self) -> APIRouter:
        """The route `/v1/segments/{name}/portrait`."""
        router = APIRouter(prefix="/v1", tags=["segments"])
        router.add_api_route("/segments/{name}/portrait", self.portrait, methods=["GET"])
        return router

    async def portrait(
        self,
        name: str,
        calling: Reader,
        limit: Annotated[
            int, Query(ge=1, le=500, description="so many of the most telling values")
        ] = 50,
    ) -> PortraitView:
        """What the members are like, beside everybody."""
        whole_chain(calling)
        await self.definitions.require(name)
        found = await self.portraits.of(name, self.clock.now(), limit)
        return PortraitView(
            segment=name,
            members=found.members,
            base=found.base,
            items=[_share(each, found.members, found.base) for each in found.shares],
        )


def _share(share: Share, members: int, base: int) -> ShareView:
    inside = share.members / members if members else 0.0
    among = share.base / base
    return ShareView(
        attribute=share.attribute,
        value=share.value,
        members=share.members,
        base=share.base,
        member_share=inside,
        base_share=among,
        lift=inside / among,
        score=share.score,
    )
