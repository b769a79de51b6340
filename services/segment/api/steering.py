"""HTTP of what becomes of definitions: versions, a yes, a stop."""

from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from services.segment.api.access import Reader, Writing, whole_chain
from services.segment.api.definitions import Recorded
from services.segment.api.speaking import Accepted, Language, Speech
from services.segment.api.standing import Standings, VersionList, version_views
from services.segment.domain import Brake, Command, Release, RestoreDefinition, TakeBack
from services.segment.handlers import definitions as handlers
from services.segment.handlers.definitions import Request
from services.segment.queries.definitions import Definitions
from services.segment.rules.reading import parse_rule
from services.segment.rules.sentences.tree import describe
from shared.clock import Clock
from shared.execute import Writer
from shared.http import CommandId, etag
from shared.http.preconditions import IfMatchUnlessNew


class RestoreInput(BaseModel):
    """Which version of the definition to define again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    definition: int = Field(ge=1)


@dataclass(frozen=True, slots=True)
class SteeringApi:
    """The endpoints, on what they need."""

    writer: Writer
    definitions: Definitions
    standings: Standings
    speech: Speech
    clock: Clock
    horizon: timedelta
    brake: Brake

    def router(self) -> APIRouter:
        """The routes below `/v1/segments/{name}`."""
        router = APIRouter(prefix="/v1/segments/{name}", tags=["segments"])
        router.add_api_route("/versions", self.versions, methods=["GET"])
        router.add_api_route("/restore", self.restore, methods=["POST"])
        router.add_api_route("/release", self.release, methods=["POST"])
        router.add_api_route("/evaluation/stop", self.stop, methods=["POST"])
        return router

    async def versions(
        self, name: str, calling: Reader, language: Language = None, accepted: Accepted = ""
    ) -> VersionList:
        """Every version that the definition ever had, the newest first."""
        whole_chain(calling)
        defined = await self.definitions.require(name)
        wording = self.speech.wording(language, accepted)
        sentences = {
            each.number: describe(parse_rule(dict(each.rule or {})), wording)
            for each in defined.segment.versions
        }
        moments = await self.definitions.moments(name)
        return VersionList(segment=name, items=version_views(defined, moments, sentences))

    async def restore(
        self,
        name: str,
        body: RestoreInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Recorded:
        """Define the segment as a version before did; that is a new version. Needs `If-Match`."""
        whole_chain(calling)
        large = self.brake.watches(await self.standings.base.count(self.brake.minimum))
        command = RestoreDefinition(
            name, body.definition, self.clock.now(), rests_on, calling.id, large
        )
        return await self._do(command_id, ["restore", body.definition], command, response)

    async def release(
        self, name: str, calling: Writing, command_id: CommandId, response: Response
    ) -> Recorded:
        """Say yes: a definition on trial stands from now on, a segment that is held goes on."""
        whole_chain(calling)
        command = Release(name, calling.id, self.clock.now())
        return await self._do(command_id, "release", command, response)

    async def stop(
        self, name: str, calling: Writing, command_id: CommandId, response: Response
    ) -> Recorded:
        """Take back a definition that is on trial, or not evaluated over all yet.

        The one before it stands again; who was moved is moved back.
        """
        whole_chain(calling)
        defined = await self.definitions.require(name)
        look = await self.standings.look()
        underway = await look.underway(defined)
        command = TakeBack(name, calling.id, self.clock.now(), underway)
        return await self._do(command_id, "stop", command, response)

    async def _do(
        self, command_id: str, body: object, command: Command, response: Response
    ) -> Recorded:
        request = Request(command_id, body, command.at)
        done = await handlers.carry_out(self.writer, self.horizon, request, command)
        response.headers["ETag"] = etag(done.version)
        return Recorded(name=command.name, version=done.version, repeated=done.repeated)
