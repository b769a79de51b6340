"""HTTP of the definitions of segments."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from services.segment.api.access import Reader, Writing, whole_chain
from services.segment.api.speaking import Accepted, Language, Speech
from services.segment.api.standing import EvaluationView, HeldView, Standings, StandingView
from services.segment.domain import Brake, DefineSegment
from services.segment.handlers import definitions as handlers
from services.segment.handlers.definitions import Request
from services.segment.queries.definitions import Defined, Definitions
from services.segment.queries.members import Figures, Members
from services.segment.rules.language.tree import rule_schema
from services.segment.rules.reading import parse_rule
from services.segment.rules.sentences.tree import describe
from shared.clock import Clock
from shared.decider import invalid
from shared.eventstore import body_hash
from shared.execute import Writer
from shared.http import CommandId, etag
from shared.http.preconditions import IfMatchUnlessNew
from shared.wording import Wording


class DefinitionInput(BaseModel):
    """A segment's definition; `/v1/segments/rule-schema` describes `rule`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(max_length=200)
    rule: dict[str, Any]


class Recorded(BaseModel):
    """The answer to a command."""

    name: str
    version: int
    repeated: bool


class SegmentView(BaseModel):
    """A segment: what it means, and its figures now."""

    name: str
    title: str
    definition: int = Field(description="version of the definition")
    archived: bool
    rule: dict[str, Any]
    sentence: str = Field(description="the rule in words")
    stands: int | None = Field(description="version of the definition that is evaluated")
    trial: int | None = Field(description="version that waits to be counted, or for a yes")
    held: HeldView | None
    evaluation: EvaluationView | None
    members: int
    entered: int
    exited: int


class SegmentList(BaseModel):
    """All segments by name."""

    items: list[SegmentView]


@dataclass(frozen=True, slots=True)
class DefinitionApi:
    """The endpoints, on what they need."""

    writer: Writer
    definitions: Definitions
    members: Members
    clock: Clock
    horizon: timedelta
    standings: Standings
    brake: Brake
    speech: Speech

    def router(self) -> APIRouter:
        """The routes below `/v1/segments`."""
        router = APIRouter(prefix="/v1", tags=["segments"])
        router.add_api_route("/segments", self.all, methods=["GET"])
        router.add_api_route("/segments/rule-schema", self.schema, methods=["GET"])
        router.add_api_route("/segments/{name}", self.get, methods=["GET"])
        router.add_api_route("/segments/{name}", self.define, methods=["PUT"])
        router.add_api_route("/segments/{name}/archive", self.archive, methods=["POST"])
        return router

    async def all(
        self, calling: Reader, language: Language = None, accepted: Accepted = ""
    ) -> SegmentList:
        """All segments with their figures."""
        whole_chain(calling)
        wording = self.speech.wording(language, accepted)
        figures = await self.members.figures()
        look = await self.standings.look()
        return SegmentList(
            items=[
                _view(each, figures.get(each.name, Figures()), await look.of(each), wording)
                for each in look.standing.segments
            ]
        )

    async def schema(self, _calling: Reader) -> dict[str, Any]:
        """The JSON Schema of the rule language."""
        return rule_schema()

    async def get(
        self,
        name: str,
        calling: Reader,
        response: Response,
        language: Language = None,
        accepted: Accepted = "",
    ) -> SegmentView:
        """One segment with its figures."""
        whole_chain(calling)
        defined = await self.definitions.require(name)
        figures = await self.members.figures()
        response.headers["ETag"] = etag(defined.version)
        standing = await (await self.standings.look()).of(defined)
        wording = self.speech.wording(language, accepted)
        return _view(defined, figures.get(name, Figures()), standing, wording)

    async def define(
        self,
        name: str,
        body: DefinitionInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Recorded:
        """Give the segment its (new) definition; the same again changes nothing.

        Another one needs `If-Match`. Where there are many customers, a changed rule is on trial
        first: it is counted whom it would move.
        """
        whole_chain(calling)
        now = self.clock.now()
        large = self.brake.watches(await self.standings.base.count(self.brake.minimum))
        command = DefineSegment(name, body.title, body.rule, now, rests_on, calling.id, large)
        request = Request(command_id, _plain(body), now)
        done = await handlers.define(self.writer, self.horizon, request, command)
        response.headers["ETag"] = etag(done.version)
        return Recorded(name=name, version=done.version, repeated=done.repeated)

    async def archive(self, name: str, calling: Writing, command_id: CommandId) -> Recorded:
        """Evaluate the segment no longer; its history stays."""
        whole_chain(calling)
        request = Request(command_id, "archive", self.clock.now())
        done = await handlers.archive(self.writer, self.horizon, request, name, calling.id)
        return Recorded(name=name, version=done.version, repeated=done.repeated)


def _plain(body: DefinitionInput) -> object:
    """The definition as it was sent. Raises `Refused` for what cannot be written down."""
    try:
        plain: object = body.model_dump(mode="json")
        body_hash(plain)
    except (ValueError, RecursionError) as failure:
        raise invalid("rule", "nests too deep to be written down") from failure
    return plain


def _view(
    defined: Defined, figures: Figures, standing: StandingView, wording: Wording
) -> SegmentView:
    segment = defined.segment
    rule = dict(segment.rule)
    return SegmentView(
        name=defined.name,
        title=segment.title,
        definition=segment.definition,
        archived=segment.archived,
        rule=rule,
        sentence=describe(parse_rule(rule), wording),
        stands=standing.stands,
        trial=standing.trial,
        held=standing.held,
        evaluation=standing.evaluation,
        members=figures.members,
        entered=figures.entered,
        exited=figures.exited,
    )
