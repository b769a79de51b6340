"""HTTP of the log of messages."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query
from pydantic import AwareDatetime, BaseModel, Field

from services.notify.api.access import Reader
from services.notify.domain import Stage, telling
from services.notify.domain.reasons import sentence_of
from services.notify.handlers.recipients.lives import Lived, life_of
from services.notify.projections import QueuedMessage
from services.notify.queries import Queue, Search
from shared.access import Kind, scope
from shared.events.contract import show_moment
from shared.eventstore import EventStore
from shared.http import Cursor, Limit, Page, cursor_of, position_of
from shared.wording import Languages, Wording

Accepted = Annotated[str, Header(alias="accept-language", max_length=1_000)]
MessageId = Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Language = Annotated[
    Literal["en", "ru"] | None, Query(description="else what `Accept-Language` likes best")
]


class MessageView(BaseModel):
    """A message; never to which address, nor what it said."""

    id: str
    campaign: str
    customer: str
    occurrence: str
    channel: str
    state: Stage
    reason: str | None = Field(description="why it was suppressed, or is tried again")
    explanation: str | None = Field(description="the same as a sentence, where there is one")
    waits_until: str | None = Field(description="when it is looked at again")
    code: str | None = Field(description="what the channel answered last")
    segments: int | None = Field(description="messages that its SMS were for the network")
    cost_minor: int | None = Field(description="of all that was taken or may have been")
    scheduled_at: str
    changed_at: str


class LivedView(BaseModel):
    """Something that happened to a message."""

    type: str = Field(description="of the event")
    time: str
    sentence: str | None
    channel: str | None
    variant: str | None
    reason: str | None
    explanation: str | None = Field(description="the reason as a sentence, where there is one")
    code: str | None = Field(description="what the channel answered")
    link: str | None = Field(description="that was followed")
    segments: int | None = Field(description="messages that the SMS is for the network")
    cost_minor: int | None = Field(description="of the hand-over, should it be taken")
    until: str | None = Field(description="how long it has to wait")
    cause: str | None = Field(description="id of the event that it follows from")


class LifeView(BaseModel):
    """A message from its occasion on; never to which address, nor what it said."""

    id: str
    campaign: str
    customer: str
    occurrence: str | None
    version: int = Field(description="of its stream")
    life: list[LivedView]


@dataclass(frozen=True, slots=True)
class SearchInput:
    """What is looked for; all that is said must fit."""

    customer: Annotated[str | None, Query(max_length=100)] = None
    campaign: Annotated[str | None, Query(max_length=100)] = None
    state: Stage | None = None
    reason: Annotated[str | None, Query(max_length=50)] = None
    channel: Annotated[str | None, Query(max_length=30)] = None
    since: Annotated[
        AwareDatetime | None, Query(description="scheduled at or after this moment")
    ] = None
    until: Annotated[AwareDatetime | None, Query(description="scheduled before this moment")] = None

    def search(self) -> Search:
        """The same for the query."""
        return Search(
            customer=self.customer,
            campaign=self.campaign,
            stage=self.state,
            reason=self.reason,
            channel=self.channel,
            since=self.since,
            until=self.until,
        )


@dataclass(frozen=True, slots=True)
class MessageApi:
    """The endpoints, on what they need."""

    queue: Queue
    store: EventStore
    languages: Languages

    def router(self) -> APIRouter:
        """The routes below `/v1/messages`."""
        router = APIRouter(prefix="/v1/messages", tags=["messages"])
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("/{message}", self.life, methods=["GET"])
        return router

    async def page(
        self,
        calling: Reader,
        search: Annotated[SearchInput, Depends()],
        *,
        limit: Limit = 100,
        cursor: Cursor = None,
        language: Language = None,
        accepted: Accepted = "",
    ) -> Page[MessageView]:
        """The log of all messages, the latest first."""
        scope(calling, Kind.MESSAGE).require(None)
        found = await self.queue.page(search.search(), position_of(cursor, str), limit)
        shown = found[:limit]
        wording = self.languages.wording(language or self.languages.accepted(accepted))
        return Page[MessageView](
            items=[_message(each, wording) for each in shown],
            next_cursor=cursor_of(shown[-1].turn) if len(found) > limit else None,
        )

    async def life(
        self,
        message: MessageId,
        calling: Reader,
        language: Language = None,
        accepted: Accepted = "",
    ) -> LifeView:
        """What happened to one message, from its occasion on, and what each step follows from."""
        scope(calling, Kind.MESSAGE).require(None)
        wording = self.languages.wording(language or self.languages.accepted(accepted))
        life = await life_of(self.store, message)
        first, last = life.events[0], life.events[-1]
        return LifeView(
            id=message,
            campaign=first.details.campaign,
            customer=life.customer,
            occurrence=next(
                (each.details.occurrence for each in life.events if each.details.occurrence), None
            ),
            version=last.version,
            life=[_lived(each, wording) for each in life.events],
        )


def _lived(event: Lived, wording: Wording) -> LivedView:
    details = event.details
    return LivedView(
        type=event.type,
        time=show_moment(event.time),
        sentence=telling.sentence_of(event.type, wording),
        channel=details.channel,
        variant=details.variant,
        reason=details.reason,
        explanation=sentence_of(details.reason, wording),
        code=details.code,
        link=details.link,
        segments=details.segments,
        cost_minor=details.cost,
        until=None if details.until is None else show_moment(details.until),
        cause=event.cause,
    )


def _message(message: QueuedMessage, wording: Wording) -> MessageView:
    return MessageView(
        id=message.id,
        campaign=message.campaign,
        customer=message.customer,
        occurrence=message.occurrence,
        channel=message.channel,
        state=message.stage,
        reason=message.reason,
        explanation=sentence_of(message.reason, wording),
        waits_until=None if message.until is None else show_moment(message.until),
        code=message.code,
        segments=message.segments,
        cost_minor=message.cost,
        scheduled_at=show_moment(message.scheduled_at),
        changed_at=show_moment(message.changed_at),
    )
