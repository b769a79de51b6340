"""HTTP of who is and was in a segment."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from services.segment.api.access import Moment, Reader, whole_chain
from services.segment.api.exporting import PIECE, Form, exported
from services.segment.api.member_views import (
    CustomerMemberships,
    MemberPage,
    MembershipView,
    MemberView,
    interval_view,
    member_view,
)
from services.segment.projections.members import Member
from services.segment.queries.activity import Activities, Summary
from services.segment.queries.definitions import Definitions
from services.segment.queries.members import Members, logged_at
from shared.clock import Clock
from shared.decider import invalid
from shared.events.contract import show_moment
from shared.http import Cursor, Limit, cursor_of, position_of
from shared.tables.writing import Cell

COLUMNS = (
    "customer", "entered", "exited", "definition", "receipts", "spent_minor", "first_receipt",
    "last_receipt", "home_branch", "city",
)  # fmt: skip

Order = Annotated[
    Literal["customer", "since", "-since"],
    Query(description="by id; or by the moment of entering, `-since`: the newest first"),
]


@dataclass(frozen=True, slots=True)
class MemberApi:
    """The endpoints, on what they need."""

    definitions: Definitions
    members: Members
    activities: Activities
    clock: Clock

    def router(self) -> APIRouter:
        """Members of a segment, and memberships of a customer."""
        router = APIRouter(prefix="/v1", tags=["segments"])
        router.add_api_route("/segments/{name}/members", self.page, methods=["GET"])
        router.add_api_route(
            "/segments/{name}/members/export",
            self.export,
            methods=["GET"],
            response_class=StreamingResponse,
        )
        router.add_api_route("/customers/{customer}/memberships", self.memberships, methods=["GET"])
        return router

    async def page(
        self,
        name: str,
        calling: Reader,
        *,
        at: Moment = None,
        order: Order = "customer",
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> MemberPage:
        """Who is in the segment, now or at any moment of the past."""
        whole_chain(calling)
        await self.definitions.require(name)
        after = position_of(cursor, str)
        if order == "customer":
            found = await self.members.page(name, at, after, limit)
        elif at is not None:
            raise invalid("order", "is by customer where `at` asks for another moment than now")
        else:
            newest_first = order == "-since"
            found = await self.members.page_by_since(name, after, limit, newest_first=newest_first)
        shown = found[:limit]
        more = len(found) > limit
        return MemberPage(
            segment=name,
            at=show_moment(at or self.clock.now()),
            count=await self.members.count(name, at),
            items=await self._views(shown, at),
            next_cursor=cursor_of(_place(shown[-1], order)) if more else None,
        )

    async def export(
        self, name: str, calling: Reader, *, form: Form = "csv", at: Moment = None
    ) -> StreamingResponse:
        """All members as one table, or a JSON object per line; nothing personal is in it."""
        whole_chain(calling)
        await self.definitions.require(name)
        return exported(name, form, COLUMNS, self._pieces(name, at))

    async def memberships(
        self, customer: str, calling: Reader, at: Moment = None
    ) -> CustomerMemberships:
        """Every segment that a customer is or was in, with its intervals and their causes.

        With `at` only those that the customer was in at that moment, each with that interval.
        """
        whole_chain(calling)
        found = await self.members.of_customer(customer)
        chosen = [
            (each, each.intervals if at is None else [interval])
            for each in found
            if (interval := logged_at(each, at) if at else each.intervals[-1]) is not None
        ]
        return CustomerMemberships(
            customer=customer,
            at=at,
            items=[
                MembershipView(
                    segment=each.segment,
                    current=each.current,
                    intervals=[interval_view(interval) for interval in intervals],
                )
                for each, intervals in chosen
            ],
        )

    async def _views(self, found: Sequence[Member], at: datetime | None) -> list[MemberView]:
        known = await self.activities.summaries([each.customer for each in found])
        return [member_view(each, at, known.get(each.customer, Summary())) for each in found]

    async def _pieces(self, name: str, at: datetime | None) -> AsyncIterator[list[Sequence[Cell]]]:
        after: str | None = None
        while True:
            found = await self.members.page(name, at, after, PIECE)
            yield [_row(each) for each in await self._views(found[:PIECE], at)]
            if len(found) <= PIECE:
                return
            after = found[PIECE - 1].customer


def _place(member: Member, order: str) -> str:
    return member.customer if order == "customer" else member.since or ""


def _row(member: MemberView) -> Sequence[Cell]:
    interval, profile = member.interval, member.profile
    first, last = profile.first_receipt, profile.last_receipt
    return (
        member.customer, interval.entered, interval.exited, member.definition, profile.receipts,
        profile.spent_minor, first and show_moment(first), last and show_moment(last),
        profile.home_branch, profile.city,
    )  # fmt: skip
