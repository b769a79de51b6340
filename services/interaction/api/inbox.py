"""What became of the inbox: dead letters with their reasons, to be sent again; and what waits."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from services.interaction.handlers.inbox_replaying import Replaying
from shared.access import Permission, Principal
from shared.dead_letters import Buried
from shared.http import Cursor, Limit, Page, cursor_of, position_of, principal
from shared.http.problems import TYPE_PREFIX
from shared.waiting import WaitingPlace

Operator = Annotated[Principal, Depends(principal(Permission.OPERATIONS_RUN))]


class WrongField(BaseModel):
    """A wrong field."""

    field: str = Field(description="its path in the value; what is no name of ours is …")
    message: str


class DeadLetterView(BaseModel):
    """A record that could not be taken: where it was, and why; never what it says."""

    place: int = Field(description="among the dead letters")
    topic: str
    partition: int
    offset: int
    taken_at: datetime = Field(description="when Kafka took the record")
    type: str = Field(description="of the problem, as over HTTP")
    title: str
    errors: list[WrongField]


class ReplayedAnswer(BaseModel):
    """How many records were sent to the inbox again."""

    replayed: int


class WaitingAnswer(BaseModel):
    """How many facts wait for a customer or receipt that may still come."""

    waiting: int


@dataclass(frozen=True, slots=True)
class InboxApi:
    """The endpoints, on what they need."""

    replaying: Replaying
    place: WaitingPlace

    def router(self) -> APIRouter:
        """The routes `/v1/inbox/dead`, `/v1/inbox/dead/replay` and `/v1/inbox/waiting`."""
        router = APIRouter(prefix="/v1/inbox", tags=["operations"])
        router.add_api_route("/dead", self.dead, methods=["GET"])
        router.add_api_route("/dead/replay", self.replay, methods=["POST"])
        router.add_api_route("/waiting", self.waiting, methods=["GET"])
        return router

    async def dead(
        self, _calling: Operator, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[DeadLetterView]:
        """The dead letters that were not sent again, in the order in which they came."""
        found, following = await self.replaying.open(position_of(cursor, int) or 0, limit)
        return Page[DeadLetterView](
            items=[_view(each) for each in found],
            next_cursor=None if following is None else cursor_of(following),
        )

    async def replay(self, _calling: Operator) -> ReplayedAnswer:
        """Send all of them to the inbox again, each as it was; what is still wrong comes back."""
        return ReplayedAnswer(replayed=await self.replaying.replay())

    async def waiting(self, _calling: Operator) -> WaitingAnswer:
        """How many wait."""
        return WaitingAnswer(waiting=await self.place.count())


def _view(buried: Buried) -> DeadLetterView:
    letter = buried.letter
    errors: list[Any] = [{"field": each.field, "message": each.message} for each in letter.errors]
    return DeadLetterView(
        place=buried.place,
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        taken_at=datetime.fromtimestamp(letter.timestamp / 1000, UTC),
        type=TYPE_PREFIX + letter.reason,
        title=letter.title,
        errors=errors,
    )
