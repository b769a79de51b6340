"""HTTP of senders: in whose name the chain and its branches write."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, StringConstraints

from services.notify.api.access import Reader, Writing, whole_chain
from services.notify.api.campaign_input import Input, Reference
from services.notify.handlers.books.senders import SenderBook
from shared.clock import Clock
from shared.events.customer import Channel
from shared.events.sending import Sender, SendersDefined
from shared.http import CommandId, etag
from shared.http.preconditions import IfMatchUnlessNew


class SenderInput(Input):
    """The sender of a branch, or of the chain, by a channel."""

    branch: Reference | None = Field(default=None, description="left out: the chain's")
    channel: Channel
    sender: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class SendersInput(Input):
    """All senders; whoever is not here has the provider's."""

    senders: tuple[SenderInput, ...] = ()


class SendersView(BaseModel):
    """The senders as they stand; version 0: nobody has defined any."""

    version: int
    senders: tuple[Sender, ...]


@dataclass(frozen=True, slots=True)
class SenderApi:
    """The endpoints, on what they need."""

    senders: SenderBook
    clock: Clock

    def router(self) -> APIRouter:
        """The routes `/v1/senders`."""
        router = APIRouter(prefix="/v1/senders", tags=["sending policy"])
        router.add_api_route("", self.get, methods=["GET"])
        router.add_api_route("", self.define, methods=["PUT"])
        return router

    async def get(self, calling: Reader, response: Response) -> SendersView:
        """In whose name the chain and its branches write."""
        whole_chain(calling)
        found = await self.senders.now()
        response.headers["ETag"] = etag(found.version)
        return SendersView(version=found.version, senders=found.definition.senders)

    async def define(
        self,
        body: SendersInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> SendersView:
        """Give the chain its (new) senders; others than those that stand need `If-Match`."""
        whole_chain(calling)
        definition = SendersDefined(
            senders=tuple(Sender(**each.model_dump()) for each in body.senders)
        )
        await self.senders.define(command_id, definition, self.clock.now(), rests_on)
        return await self.get(calling, response)
