"""HTTP of the sending policy: one for the whole chain, changed by whoever has seen what stood."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.notify.api.access import Reader, Writing, whole_chain
from services.notify.handlers.books.policies import PolicyBook
from shared.clock import Clock
from shared.events.customer import Channel
from shared.events.sending import Cap, LocalTime, QuietHours, SendingPolicyDefined, Weekday
from shared.http import CommandId, etag
from shared.http.preconditions import IfMatchUnlessNew

Topic = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class QuietHoursInput(_Input):
    """A stretch of the recipient's day in which nothing is sent."""

    begin: LocalTime = Field(description="HH:MM on the recipient's clock, included")
    end: LocalTime = Field(description="HH:MM, not included; not after `begin`: of the next day")
    channel: Channel | None = Field(default=None, description="left out: every channel")
    days: tuple[Weekday, ...] = Field(
        default=(), max_length=7, description="ISO weekdays on which it begins; none: every day"
    )


class CapInput(_Input):
    """At most so many messages within a sliding window."""

    most: int = Field(ge=1, le=1_000)
    within: str = Field(max_length=30, description="a duration: P7D, PT36H")
    channel: Channel | None = Field(default=None, description="left out: all together")
    topic: Topic | None = Field(default=None, description="left out: all together")


class PolicyInput(_Input):
    """The whole policy: what is left out is not limited."""

    quiet: tuple[QuietHoursInput, ...] = ()
    caps: tuple[CapInput, ...] = ()
    service_waits: bool = Field(
        default=False, description="service messages keep to quiet hours as well"
    )

    def definition(self) -> SendingPolicyDefined:
        """The event that says so."""
        return SendingPolicyDefined(
            quiet=tuple(QuietHours(**each.model_dump()) for each in self.quiet),
            caps=tuple(Cap(**each.model_dump()) for each in self.caps),
            service_waits=self.service_waits,
        )


class PolicyView(BaseModel):
    """The policy as it stands; version 0: nobody has defined one."""

    version: int
    quiet: tuple[QuietHours, ...]
    caps: tuple[Cap, ...]
    service_waits: bool


@dataclass(frozen=True, slots=True)
class PolicyApi:
    """The endpoints, on what they need."""

    policies: PolicyBook
    clock: Clock

    def router(self) -> APIRouter:
        """The routes `/v1/sending-policy`."""
        router = APIRouter(prefix="/v1/sending-policy", tags=["sending policy"])
        router.add_api_route("", self.get, methods=["GET"])
        router.add_api_route("", self.define, methods=["PUT"])
        return router

    async def get(self, calling: Reader, response: Response) -> PolicyView:
        """The quiet hours and caps of the chain."""
        whole_chain(calling)
        return await self._view(response)

    async def define(
        self,
        body: PolicyInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> PolicyView:
        """Give the chain its (new) policy; the same again changes nothing.

        Another one needs `If-Match`. It counts from the next second on; a message that waits for a
        moment by the old one is asked again at that moment.
        """
        whole_chain(calling)
        await self.policies.define(command_id, body.definition(), self.clock.now(), rests_on)
        return await self._view(response)

    async def _view(self, response: Response) -> PolicyView:
        policy = await self.policies.now()
        definition = policy.definition or SendingPolicyDefined()
        response.headers["ETag"] = etag(policy.version)
        return PolicyView(
            version=policy.version,
            quiet=definition.quiet,
            caps=definition.caps,
            service_waits=definition.service_waits,
        )
