"""HTTP of the suppression list: seen, added to by hand, and released by a person who says why.

An address comes in once, is hashed at once, and is never shown: the list knows hashes.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.notify.api.access import Reader, Writing, whole_chain
from services.notify.domain.suppression import ReleaseAddress, SuppressAddress
from services.notify.handlers.books.suppression import by_hand
from services.notify.projections.suppressions import Suppression
from services.notify.queries.suppressions import Suppressions
from shared.clock import Clock
from shared.events.contract import show_moment
from shared.events.suppression import SuppressedFor
from shared.execute import Writer
from shared.http import CommandId, Cursor, Limit, Page, cursor_of, position_of
from shared.identifiers import IdentifierRules

Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]
Contact = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="hash of the contact point")]


class SuppressionInput(BaseModel):
    """An address that is to get nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["email", "phone", "messenger", "push", "external"]
    value: str = Field(min_length=1, max_length=2_000, repr=False)
    note: Note | None = Field(default=None, repr=False, description="why, for who asks later")


class SuppressionView(BaseModel):
    """An address on the list, by its hash."""

    contact: str
    reason: str
    since: str
    channel: str | None = Field(description="by which it turned out")
    message: str | None = Field(description="the one that it turned out with")
    by: str | None = Field(description="who put it there, where somebody did")


class Listed(BaseModel):
    """The address by its hash, and the version of its stream."""

    contact: str
    version: int


@dataclass(frozen=True, slots=True)
class SuppressionApi:
    """The endpoints, on what they need."""

    writer: Writer
    suppressions: Suppressions
    rules: IdentifierRules
    clock: Clock

    def router(self) -> APIRouter:
        """The routes below `/v1/suppressions`."""
        router = APIRouter(prefix="/v1/suppressions", tags=["suppression list"])
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("", self.add, methods=["POST"], status_code=HTTPStatus.CREATED)
        router.add_api_route("/{contact}", self.release, methods=["DELETE"])
        return router

    async def page(
        self,
        calling: Reader,
        reason: SuppressedFor | None = None,
        *,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[SuppressionView]:
        """Addresses that get nothing, the latest first."""
        whole_chain(calling)
        found = await self.suppressions.page(reason, position_of(cursor, str), limit)
        shown = found[:limit]
        return Page[SuppressionView](
            items=[_view(each) for each in shown],
            next_cursor=cursor_of(shown[-1].turn) if len(found) > limit else None,
        )

    async def add(self, body: SuppressionInput, calling: Writing, command_id: CommandId) -> Listed:
        """Put an address on the list; it counts from the next look at a message on.

        One that is there already stays as it is.
        """
        whole_chain(calling)
        contact = self.rules.known(body.kind, body.value, "value").hash
        command = SuppressAddress(
            contact=contact, at=self.clock.now(), reason="by_hand", by=calling.id, note=body.note
        )
        # Not the address itself: a hash of it would be no secret.
        sent = {"contact": contact, "note": body.note}
        done = await by_hand(self.writer, command_id, sent, command)
        return Listed(contact=contact, version=done.version)

    async def release(
        self,
        contact: Contact,
        note: Annotated[Note, Query(description="why it may get messages again")],
        calling: Writing,
        command_id: CommandId,
    ) -> Listed:
        """Let an address get messages again.

        What the customer service knows of it (`bad`) is another thing, and stays.
        """
        whole_chain(calling)
        command = ReleaseAddress(contact=contact, at=self.clock.now(), by=calling.id, note=note)
        done = await by_hand(self.writer, command_id, {"contact": contact, "note": note}, command)
        return Listed(contact=contact, version=done.version)


def _view(address: Suppression) -> SuppressionView:
    assert address.since is not None  # noqa: S101 - whatever has a turn has a moment
    return SuppressionView(
        contact=address.id,
        reason=address.reason or "",
        since=show_moment(address.since),
        channel=address.channel,
        message=address.message,
        by=address.by,
    )
