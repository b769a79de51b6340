"""HTTP of notify: decode, call a handler or a query."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from services.notify import handlers
from services.notify.domain import CampaignState, Stage
from services.notify.handlers import CampaignBook, Entry, Request
from services.notify.projections import QueuedMessage
from services.notify.queries import Figures, Outcomes, Queue
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock, to_milliseconds
from shared.decider import invalid, not_found
from shared.events.campaign import Broadcast, CampaignDefined, OnEntering, Template
from shared.events.contract import show_moment
from shared.events.customer import Channel
from shared.execute import Done, Writer
from shared.http import (
    CommandId,
    Cursor,
    Limit,
    Page,
    cursor_of,
    etag,
    page_of,
    position_of,
    principal,
)
from shared.http.preconditions import IfMatchUnlessNew

Reader = Annotated[Principal, Depends(principal(Permission.CAMPAIGNS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.CAMPAIGNS_WRITE))]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class Input(BaseModel):
    """What callers send: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OnEnteringInput(Input):
    """A message for each entering of a segment."""

    kind: Literal["on_entering"]
    segment: str


class BroadcastInput(Input):
    """A message for each member at the start."""

    kind: Literal["broadcast"]
    segment: str


class TemplateInput(Input):
    """What is said; both are Liquid, and may ask for `customer.name` and the like."""

    subject: str
    text: str


class CampaignInput(Input):
    """A campaign's definition."""

    title: str
    trigger: Annotated[OnEnteringInput | BroadcastInput, Field(discriminator="kind")]
    channel: Channel
    topic: Slug = Field(description="the topic of the consent that it needs")
    template: TemplateInput
    start: Annotated[AwareDatetime, AfterValidator(to_milliseconds)] = Field(
        description="causes before it are not taken"
    )
    holdout_percent: int = Field(default=0, ge=0, le=100)

    def definition(self, name: str) -> CampaignDefined:
        """The event that says so."""
        trigger = self.trigger
        return CampaignDefined(
            campaign=name,
            title=self.title,
            trigger=(
                OnEntering(segment=trigger.segment)
                if isinstance(trigger, OnEnteringInput)
                else Broadcast(segment=trigger.segment)
            ),
            channel=self.channel,
            topic=self.topic,
            template=Template(subject=self.template.subject, text=self.template.text),
            start=self.start,
            holdout_percent=self.holdout_percent,
        )


class StartInput(Input):
    """Nothing is to be said yet."""


class Recorded(BaseModel):
    """The answer to a command."""

    name: str
    version: int = Field(description="of the campaign's stream")
    repeated: bool = Field(description="it was recorded before")


class FiguresView(BaseModel):
    """Messages by what became of them; each is counted once."""

    sent: int
    suppressed: dict[str, int] = Field(description="by reason")
    holdout: int
    failed: int
    uncertain: int
    open: int = Field(description="without an outcome yet")


class CampaignView(BaseModel):
    """A campaign: what it says, how it stands, and what it has done."""

    name: str
    version: int
    state: CampaignState
    run: int = Field(description="of a broadcast: its last run; 0 before the first")
    gathering: bool = Field(description="the last run is still finding its members")
    title: str
    trigger: OnEntering | Broadcast
    channel: Channel
    topic: str
    template: Template
    start: str
    holdout_percent: int
    figures: FiguresView


class MessageView(BaseModel):
    """A message; never to which address, nor what it said."""

    id: str
    campaign: str
    customer: str
    occurrence: str
    channel: str
    state: Stage
    reason: str | None = Field(description="why it was suppressed, or is tried again")
    code: str | None = Field(description="what the channel answered last")
    scheduled_at: str
    changed_at: str


@dataclass(frozen=True, slots=True)
class CampaignApi:
    """The endpoints, on what they need; `channels` are those that there are."""

    writer: Writer
    book: CampaignBook
    queue: Queue
    figures: Figures
    clock: Clock
    channels: frozenset[str]

    def router(self) -> APIRouter:
        """The routes below `/v1/campaigns`, and `/v1/messages`."""
        router = APIRouter(prefix="/v1", tags=["campaigns"])
        router.add_api_route("/campaigns", self.page, methods=["GET"])
        router.add_api_route("/campaigns/{name}", self.get, methods=["GET"])
        router.add_api_route("/campaigns/{name}", self.define, methods=["PUT"])
        router.add_api_route("/campaigns/{name}/start", self.start, methods=["POST"])
        router.add_api_route("/campaigns/{name}/stop", self.stop, methods=["POST"])
        router.add_api_route("/messages", self.messages, methods=["GET"], tags=["messages"])
        return router

    async def page(
        self, calling: Reader, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[CampaignView]:
        """Campaigns by name, with their figures."""
        scope(calling, Kind.CAMPAIGN).require(None)
        after = position_of(cursor, str) or ""
        entries = sorted((await self.book.now()).values(), key=lambda entry: entry.name)
        found = [entry for entry in entries if entry.name > after][: limit + 1]
        figures = await self.figures.of([entry.name for entry in found])
        views = [_view(entry, figures) for entry in found]
        return page_of(views, limit, lambda view: view.name)

    async def get(self, name: str, calling: Reader, response: Response) -> CampaignView:
        """One campaign with its figures."""
        scope(calling, Kind.CAMPAIGN).require(None)
        entry = (await self.book.now()).get(name)
        if entry is None:
            kind = "campaign"
            raise not_found(kind, name)
        view = _view(entry, await self.figures.of([name]))
        response.headers["ETag"] = etag(view.version)
        return view

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
        scope(calling, Kind.CAMPAIGN).require(None)
        if body.channel not in self.channels:
            raise invalid("channel", f"these channels exist: {', '.join(sorted(self.channels))}")
        request = Request(command_id, body.model_dump(mode="json"), self.clock.now())
        done = await handlers.define(self.writer, request, body.definition(name), rests_on)
        return _recorded(name, done, response)

    async def start(
        self,
        name: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        _body: StartInput | None = None,
    ) -> Recorded:
        """Let messages go out; of a broadcast this is the next run."""
        scope(calling, Kind.CAMPAIGN).require(None)
        request = Request(command_id, "start", self.clock.now())
        return _recorded(name, await handlers.start(self.writer, request, name), response)

    async def stop(
        self,
        name: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        _body: StartInput | None = None,
    ) -> Recorded:
        """Hand over nothing of it any more."""
        scope(calling, Kind.CAMPAIGN).require(None)
        request = Request(command_id, "stop", self.clock.now())
        return _recorded(name, await handlers.stop(self.writer, request, name), response)

    async def messages(
        self,
        calling: Reader,
        campaign: Annotated[str | None, Query(max_length=100)] = None,
        state: Stage | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[MessageView]:
        """The log of all messages, the latest first."""
        scope(calling, Kind.MESSAGE).require(None)
        found = await self.queue.page(campaign, state, position_of(cursor, str), limit)
        shown = found[:limit]
        return Page[MessageView](
            items=[_message(each) for each in shown],
            next_cursor=cursor_of(shown[-1].turn) if len(found) > limit else None,
        )


def _recorded(name: str, done: Done, response: Response) -> Recorded:
    response.headers["ETag"] = etag(done.version)
    return Recorded(name=name, version=done.version, repeated=done.repeated)


def _view(entry: Entry, figures: Mapping[str, Outcomes]) -> CampaignView:
    campaign = entry.campaign
    definition = campaign.definition
    if definition is None:
        kind = "campaign"
        raise not_found(kind, entry.name)
    counted = figures.get(entry.name, Outcomes())
    return CampaignView(
        name=entry.name,
        version=campaign.version,
        state=campaign.state,
        run=campaign.run,
        gathering=campaign.gathering,
        title=definition.title,
        trigger=definition.trigger,
        channel=definition.channel,
        topic=definition.topic,
        template=definition.template,
        start=show_moment(definition.start),
        holdout_percent=definition.holdout_percent,
        figures=FiguresView(
            sent=counted.sent,
            suppressed=dict(counted.suppressed),
            holdout=counted.held_out,
            failed=counted.failed,
            uncertain=counted.uncertain,
            open=counted.open,
        ),
    )


def _message(message: QueuedMessage) -> MessageView:
    return MessageView(
        id=message.id,
        campaign=message.campaign,
        customer=message.customer,
        occurrence=message.occurrence,
        channel=message.channel,
        state=message.stage,
        reason=message.reason,
        code=message.code,
        scheduled_at=show_moment(message.scheduled_at),
        changed_at=show_moment(message.changed_at),
    )
