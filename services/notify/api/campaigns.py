"""HTTP of the definitions of campaigns."""

from dataclasses import dataclass

from fastapi import APIRouter, Response

from services.notify.api.access import Reader, Writing, whole_chain
from services.notify.api.campaign_input import CampaignInput
from services.notify.api.campaign_views import (
    CampaignView,
    Recorded,
    VersionList,
    campaign_view,
    recorded,
    version_list,
)
from services.notify.handlers.books.campaigns import CampaignBook
from services.notify.handlers.books.coupon_pools import require_pool
from services.notify.handlers.campaigns import requests
from services.notify.handlers.campaigns.requests import Request
from services.notify.queries import Figures
from shared.clock import Clock
from shared.decider import invalid
from shared.execute import Writer
from shared.http import CommandId, Cursor, Limit, Page, etag, page_of, position_of
from shared.http.preconditions import IfMatchUnlessNew


@dataclass(frozen=True, slots=True)
class CampaignApi:
    """The endpoints, on what they need.

    `channels` are those that there are, `telling` those of them that tell of deliveries.
    """

    writer: Writer
    book: CampaignBook
    figures: Figures
    clock: Clock
    channels: frozenset[str]
    telling: frozenset[str] = frozenset()

    def router(self) -> APIRouter:
        """The routes below `/v1/campaigns`."""
        router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("/{name}", self.get, methods=["GET"])
        router.add_api_route("/{name}", self.define, methods=["PUT"])
        router.add_api_route("/{name}/versions", self.versions, methods=["GET"])
        return router

    async def page(
        self, calling: Reader, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[CampaignView]:
        """Campaigns by name, with their figures."""
        whole_chain(calling)
        after = position_of(cursor, str) or ""
        entries = sorted((await self.book.now()).values(), key=lambda entry: entry.name)
        found = [entry for entry in entries if entry.name > after][: limit + 1]
        figures = await self.figures.of([entry.name for entry in found])
        views = [campaign_view(entry, figures) for entry in found]
        return page_of(views, limit, lambda view: view.name)

    async def get(self, name: str, calling: Reader, response: Response) -> CampaignView:
        """One campaign with its figures."""
        whole_chain(calling)
        entry = await self.book.require(name)
        view = campaign_view(entry, await self.figures.of([name]))
        response.headers["ETag"] = etag(view.version)
        return view

    async def versions(self, name: str, calling: Reader, response: Response) -> VersionList:
        """Every definition that the campaign ever had, the newest first."""
        whole_chain(calling)
        entry = await self.book.require(name)
        response.headers["ETag"] = etag(entry.campaign.version)
        return version_list(entry)

    async def define(
        self,
        name: str,
        body: CampaignInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Recorded:
        """Give the campaign its (new) definition; the same again changes nothing.

        Another one needs `If-Match`, and a campaign that does not run.
        """
        whole_chain(calling)
        for field, channels in (("channel", {body.channel}), ("fallback", set(body.fallback))):
            if not channels <= self.channels:
                raise invalid(field, f"these channels exist: {', '.join(sorted(self.channels))}")
        if body.fallback_after and not self.telling & {body.channel, *body.fallback}:
            told = ", ".join(sorted(self.telling)) or "none"
            raise invalid("fallback_after", f"these channels tell of deliveries: {told}")
        await require_pool(self.writer, body.coupon)
        request = Request(command_id, body.model_dump(mode="json"), self.clock.now())
        done = await requests.define(self.writer, request, body.definition(name), rests_on)
        return recorded(name, done, response)
