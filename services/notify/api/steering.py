"""HTTP of how campaigns stand: start, pause, resume, stop."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter, Response
from pydantic import Field

from services.notify.api.access import Writing, whole_chain
from services.notify.api.campaign_input import Input
from services.notify.api.campaign_views import Recorded, recorded
from services.notify.handlers.campaigns import requests
from services.notify.handlers.campaigns.confirming import Audience
from services.notify.handlers.campaigns.requests import Request
from shared.access import Principal
from shared.clock import Clock
from shared.execute import Done, Writer
from shared.http import CommandId

Handler = Callable[[Writer, Request, str], Awaitable[Done]]


class StartInput(Input):
    """Of a broadcast to many: to how many it may go."""

    confirm: int | None = Field(
        default=None, ge=0, description="the number of recipients that was seen and is meant"
    )


class SteerInput(Input):
    """Nothing is to be said."""


@dataclass(frozen=True, slots=True)
class SteeringApi:
    """The endpoints, on what they need."""

    writer: Writer
    clock: Clock
    audience: Audience

    def router(self) -> APIRouter:
        """The routes below `/v1/campaigns/{name}`."""
        router = APIRouter(prefix="/v1/campaigns/{name}", tags=["campaigns"])
        router.add_api_route("/start", self.start, methods=["POST"])
        router.add_api_route("/pause", self.pause, methods=["POST"])
        router.add_api_route("/resume", self.resume, methods=["POST"])
        router.add_api_route("/stop", self.stop, methods=["POST"])
        return router

    async def start(
        self,
        name: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        body: StartInput | None = None,
    ) -> Recorded:
        """Let messages go out; of a broadcast this is the next run.

        A broadcast to more than the chain lets go without asking is refused (409,
        `confirmation-needed`) with the number of its `recipients`, until that is confirmed.
        """
        whole_chain(calling)
        if not await self.writer.store.known([command_id]):
            # Who asks again has started it: by now there may be more of them than were confirmed.
            await self.audience.require_confirmed(name, None if body is None else body.confirm)
        return await self._do(requests.start, name, calling, command_id, response)

    async def pause(
        self,
        name: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        _body: SteerInput | None = None,
    ) -> Recorded:
        """Hand over nothing of it until it is resumed; occasions are noted all the same."""
        return await self._do(requests.pause, name, calling, command_id, response)

    async def resume(
        self,
        name: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        _body: SteerInput | None = None,
    ) -> Recorded:
        """Let go out what has waited since the pause."""
        return await self._do(requests.resume, name, calling, command_id, response)

    async def stop(
        self,
        name: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        _body: SteerInput | None = None,
    ) -> Recorded:
        """Hand over nothing of it any more."""
        return await self._do(requests.stop, name, calling, command_id, response)

    async def _do(
        self, handler: Handler, name: str, calling: Principal, command_id: str, response: Response
    ) -> Recorded:
        whole_chain(calling)
        request = Request(command_id, handler.__name__, self.clock.now())
        return recorded(name, await handler(self.writer, request, name), response)
