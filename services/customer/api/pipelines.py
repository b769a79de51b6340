"""Pipelines with their boards, and who answers for new deals, over HTTP."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from services.customer.api.configuration.changing import Asked, Changing, Named, Writing
from services.customer.api.configuration.inputs import Titles
from services.customer.api.configuration.views import (
    Configured,
    ItemList,
    ItemView,
    view_of,
    views_of,
)
from services.customer.api.deal_views import (
    BoardView,
    ConversionView,
    StageFigures,
    conversion_stage,
    figures_view,
)
from services.customer.api.inputs import Input, Slug, Text
from services.customer.domain.configuration.catalogue import Define
from services.customer.domain.pipeline import MAX_ROBOTS, MAX_STAGES
from services.customer.queries.deals import DealBoard, figures
from shared.access import Kind, Permission, Principal, scope
from shared.calling import signing_key
from shared.decider import invalid, not_found
from shared.events.customer import Channel
from shared.events.deal import (
    AssignmentDefined,
    CallWebhook,
    LostReason,
    PipelineDefined,
    RobotField,
    Stage,
    Strategy,
)
from shared.http import IfMatch, IfMatchUnlessNew, principal

Reader = Annotated[Principal, Depends(principal(Permission.DEALS_READ))]
Url = Annotated[str, Field(min_length=1, max_length=2000)]


class TaskInput(Input):
    """A robot that asks for a task."""

    kind: Literal["task"]
    title: Text
    due_days: int = Field(default=0, ge=0, le=3660)


class FieldChangeInput(Input):
    """A robot that changes the deal."""

    kind: Literal["field"]
    field: RobotField
    value: Text | None = None
    days: int | None = Field(default=None, ge=-3660, le=3660)


class MessageInput(Input):
    """A robot that asks for a message to the customer."""

    kind: Literal["message"]
    template: Slug
    channel: Channel


class WebhookInput(Input):
    """A robot that tells another system."""

    kind: Literal["webhook"]
    url: Url


class RobotInput(Input):
    """What is done by itself in a stage."""

    robot: Slug
    after: int = Field(default=0, ge=0, description="seconds in the stage; 0: on entering")
    action: Annotated[
        TaskInput | FieldChangeInput | MessageInput | WebhookInput, Field(discriminator="kind")
    ]


class StageDefinitionInput(Input):
    """A stage."""

    stage: Slug
    titles: Titles
    probability: int = Field(ge=0, le=10_000, description="hundredths of a percent")
    robots: tuple[RobotInput, ...] = Field(default=(), max_length=MAX_ROBOTS)
    archived: bool = False


class ReasonInput(Input):
    """Why deals are lost."""

    reason: Slug
    titles: Titles


class PipelineInput(Input):
    """A pipeline; stages in their order. One that is left out stays, archived."""

    titles: Titles
    stages: tuple[StageDefinitionInput, ...] = Field(min_length=1, max_length=MAX_STAGES)
    won: Titles
    lost: Titles
    lost_reasons: tuple[ReasonInput, ...] = Field(default=(), max_length=100)

    def definition(self, name: str) -> PipelineDefined:
        """The event that says so."""
        return PipelineDefined(
            pipeline=name,
            titles=dict(self.titles),
            stages=tuple(Stage.model_validate(each.model_dump()) for each in self.stages),
            won=dict(self.won),
            lost=dict(self.lost),
            lost_reasons=tuple(
                LostReason.model_validate(each.model_dump()) for each in self.lost_reasons
            ),
        )


class AssignmentInput(Input):
    """Who answers for new deals of a type."""

    titles: Titles
    strategy: Strategy
    employees: tuple[Text, ...] = Field(min_length=1, max_length=200)

    def definition(self, name: str) -> AssignmentDefined:
        """The event that says so."""
        return AssignmentDefined(
            deal_type=name,
            titles=dict(self.titles),
            strategy=self.strategy,
            employees=self.employees,
        )


class WebhookView(BaseModel):
    """An address, and the key that calls of it are signed with."""

    url: str
    key: str = Field(description="of `X-Regulars-Signature`; docs/architecture/deals.md tells how")


class WebhookList(BaseModel):
    """The addresses that robots of a pipeline call."""

    items: list[WebhookView]


@dataclass(frozen=True, slots=True)
class PipelineApi:
    """The endpoints, on what they need."""

    changing: Changing
    board: DealBoard

    def router(self) -> APIRouter:
        """The routes below `/v1/pipelines` and `/v1/assignments`."""
        router = APIRouter(prefix="/v1", tags=["deals"])
        add = router.add_api_route
        add("/pipelines", self.pipelines, methods=["GET"])
        add("/pipelines/{name}", self.pipeline, methods=["GET"])
        add("/pipelines/{name}", self.define_pipeline, methods=["PUT"])
        add("/pipelines/{name}/board", self.open_deals, methods=["GET"])
        add("/pipelines/{name}/conversion", self.conversion, methods=["GET"])
        add("/pipelines/{name}/webhooks", self.webhooks, methods=["GET"])
        add("/assignments", self.assignments, methods=["GET"])
        add("/assignments/{name}", self.assignment, methods=["GET"])
        add("/assignments/{name}", self.define_assignment, methods=["PUT"])
        add("/pipelines/{name}/archive", self.archive_pipeline, methods=["POST"])
        add("/pipelines/{name}/restore", self.restore_pipeline, methods=["POST"])
        add("/assignments/{name}/archive", self.archive_assignment, methods=["POST"])
        add("/assignments/{name}/restore", self.restore_assignment, methods=["POST"])
        return router

    async def pipelines(self, _calling: Reader) -> ItemList[PipelineDefined]:
        """All pipelines."""
        now = await self.changing.book.fresh()
        return ItemList[PipelineDefined](number=now.number, items=views_of(now.pipelines))

    async def pipeline(
        self, name: Named, _calling: Reader, response: Response
    ) -> ItemView[PipelineDefined]:
        """One pipeline."""
        return view_of((await self.changing.book.fresh()).pipelines, "pipeline", name, response)

    async def define_pipeline(
        self, body: PipelineInput, asking: Asked, rests_on: IfMatchUnlessNew
    ) -> Configured:
        """Give a pipeline its (new) definition."""
        request = self.changing.request_of(asking, f"pipelines/{asking.name}", body)
        command = Define(asking.name, body.definition(asking.name), request.at, rests_on)
        return await self.changing.change_item("pipelines", asking, request, command)

    async def assignments(self, _calling: Reader) -> ItemList[AssignmentDefined]:
        """All assignment rules, by deal type."""
        now = await self.changing.book.fresh()
        return ItemList[AssignmentDefined](number=now.number, items=views_of(now.assignments))

    async def assignment(
        self, name: Named, _calling: Reader, response: Response
    ) -> ItemView[AssignmentDefined]:
        """The rule of a deal type."""
        now = await self.changing.book.fresh()
        return view_of(now.assignments, "assignment rule", name, response)

    async def define_assignment(
        self, body: AssignmentInput, asking: Asked, rests_on: IfMatchUnlessNew
    ) -> Configured:
        """Give a deal type its (new) rule."""
        request = self.changing.request_of(asking, f"assignments/{asking.name}", body)
        command = Define(asking.name, body.definition(asking.name), request.at, rests_on)
        return await self.changing.change_item("assignments", asking, request, command)

    async def archive_pipeline(self, asking: Asked, match: IfMatch) -> Configured:
        """Let no new deal be opened in a pipeline; those in it go on."""
        return await self.changing.archive("pipelines", asking, match)

    async def restore_pipeline(self, asking: Asked, match: IfMatch) -> Configured:
        """Let deals be opened in a pipeline again."""
        return await self.changing.restore("pipelines", asking, match)

    async def archive_assignment(self, asking: Asked, match: IfMatch) -> Configured:
        """Let nobody be chosen by a rule."""
        return await self.changing.archive("assignments", asking, match)

    async def restore_assignment(self, asking: Asked, match: IfMatch) -> Configured:
        """Let a rule count again."""
        return await self.changing.restore("assignments", asking, match)

    async def open_deals(self, name: Named, calling: Reader) -> BoardView:
        """The open deals of a pipeline by stage; their cards are a page of `/v1/deals` each."""
        now = await self.changing.book.fresh()
        definition = now.pipelines.get(name)
        if definition is None:
            kind = "pipeline"
            raise not_found(kind, name)
        parts = await self.board.open_in(scope(calling, Kind.DEAL), name)
        return BoardView(
            pipeline=name,
            total=figures_view(figures(parts, now.pipelines)),
            stages=[
                StageFigures(
                    stage=each.stage,
                    probability=each.probability,
                    archived=each.archived,
                    **figures_view(
                        figures([part for part in parts if part.stage == each.stage], now.pipelines)
                    ).model_dump(),
                )
                for each in definition.stages
            ],
        )

    async def conversion(
        self,
        name: Named,
        calling: Reader,
        begin: Annotated[AwareDatetime, Query()],
        end: Annotated[AwareDatetime, Query()],
    ) -> ConversionView:
        """What became of the stays that began in `[begin, end)`, and how long they were."""
        begin, end = _in_utc(begin, "begin"), _in_utc(end, "end")
        if end <= begin:
            raise invalid("end", "after begin")
        now = await self.changing.book.fresh()
        definition = now.pipelines.get(name)
        if definition is None:
            kind = "pipeline"
            raise not_found(kind, name)
        found = await self.board.passages(scope(calling, Kind.DEAL), name, begin, end)
        return ConversionView(
            pipeline=name,
            stages=[
                conversion_stage(
                    each.stage, [passage for passage in found if passage.stage == each.stage]
                )
                for each in definition.stages
            ],
        )

    async def webhooks(self, name: Named, calling: Writing) -> WebhookList:
        """The addresses that robots of a pipeline call, each with the key of its signatures."""
        scope(calling, Kind.CONFIGURATION).require(None)
        definition = (await self.changing.book.fresh()).pipelines.get(name)
        if definition is None:
            kind = "pipeline"
            raise not_found(kind, name)
        urls = {
            robot.action.url
            for stage in definition.stages
            for robot in stage.robots
            if isinstance(robot.action, CallWebhook)
        }
        secret = self.changing.secret
        return WebhookList(
            items=[WebhookView(url=url, key=signing_key(secret, url)) for url in sorted(urls)]
        )


def _in_utc(moment: datetime, path: str) -> datetime:
    """The moment in UTC. Raises `Refused` for one that calendars do not reach there."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as failure:
        raise invalid(path, "a moment within the years 1 to 9999 of UTC") from failure
