"""HTTP of the log of messages."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, Field

from services.notify.api.access import Reader
from services.notify.domain import Stage
from services.notify.domain.reasons import sentence_of
from services.notify.projections import QueuedMessage
from services.notify.queries import Queue
from shared.access import Kind, scope
from shared.events.contract import show_moment
from shared.http import Cursor, Limit, Page, cursor_of, position_of
from shared.wording import Languages, Wording

Accepted = Annotated[str, Header(alias="accept-language", max_length=1_000)]
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
    scheduled_at: str
    changed_at: str


@dataclass(frozen=True, slots=True)
class MessageApi:
    """The endpoints, on what they need."""

    queue: Queue
    languages: Languages

    def router(self) -> APIRouter:
        """The routes below `/v1/messages`."""
        router = APIRouter(prefix="/v1/messages", tags=["messages"])
        router.add_api_route("", self.page, methods=["GET"])
        return router

    async def page(
        self,
        calling: Reader,
        campaign: Annotated[str | None, Query(max_length=100)] = None,
        state: Stage | None = None,
        *,
        limit: Limit = 100,
        cursor: Cursor = None,
        language: Language = None,
        accepted: Accepted = "",
    ) -> Page[MessageView]:
        """The log of all messages, the latest first."""
        scope(calling, Kind.MESSAGE).require(None)
        found = await self.queue.page(campaign, state, position_of(cursor, str), limit)
        shown = found[:limit]
        wording = self.languages.wording(language or self.languages.accepted(accepted))
        return Page[MessageView](
            items=[_message(each, wording) for each in shown],
            next_cursor=cursor_of(shown[-1].turn) if len(found) > limit else None,
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
        scheduled_at=show_moment(message.scheduled_at),
        changed_at=show_moment(message.changed_at),
    )
