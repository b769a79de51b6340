"""HTTP of who is and was on static lists."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from services.segment.api.access import Moment, Reader, whole_chain
from services.segment.api.exporting import PIECE, Form, exported
from services.segment.projections.lists import ListMember, Reason, Stay
from services.segment.projections.members import FOREVER
from services.segment.queries.lists import ListMembers, StaticLists
from shared.clock import Clock
from shared.events.contract import show_moment
from shared.http import Cursor, Limit, cursor_of, position_of
from shared.tables.writing import Cell

COLUMNS = ("customer", "entered", "left", "cause", "by", "job")


class ReasonView(BaseModel):
    """Why somebody is on a list, or no longer: as in `list.entered`."""

    kind: str
    by: str | None = None
    job: str | None = None
    merge: str | None = None
    event: str | None = None


class StayView(BaseModel):
    """On the list from `entered` on, until just before `left` (null: still)."""

    entered: str
    left: str | None
    entered_because: ReasonView
    left_because: ReasonView | None


class ListMemberView(BaseModel):
    """A customer with the stay that makes it a member."""

    customer: str
    interval: StayView


class ListMemberPage(BaseModel):
    """Members at a moment; `count` is that of all pages together, exact."""

    list: str
    at: str
    count: int
    items: Sequence[ListMemberView]
    next_cursor: str | None


class OnListView(BaseModel):
    """One customer's history on one list."""

    list: str
    current: bool
    intervals: Sequence[StayView]


class CustomerLists(BaseModel):
    """Every list that a customer is or was on."""

    customer: str
    items: list[OnListView] = Field(description="by the names of the lists")


@dataclass(frozen=True, slots=True)
class ListMemberApi:
    """The endpoints, on what they need."""

    lists: StaticLists
    members: ListMembers
    clock: Clock

    def router(self) -> APIRouter:
        """Members of a list, and the lists of a customer."""
        router = APIRouter(prefix="/v1", tags=["lists"])
        router.add_api_route("/lists/{name}/members", self.page, methods=["GET"])
        router.add_api_route(
            "/lists/{name}/members/export",
            self.export,
            methods=["GET"],
            response_class=StreamingResponse,
        )
        router.add_api_route("/customers/{customer}/lists", self.of_customer, methods=["GET"])
        return router

    async def page(
        self,
        name: str,
        calling: Reader,
        *,
        at: Moment = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> ListMemberPage:
        """Who is on the list, now or at any moment of the past."""
        whole_chain(calling)
        await self.lists.require(name)
        found = await self.members.page(name, at, position_of(cursor, str), limit)
        shown, more = found[:limit], len(found) > limit
        return ListMemberPage(
            list=name,
            at=show_moment(at or self.clock.now()),
            count=await self.members.count(name, at),
            items=[_member(each, at) for each in shown],
            next_cursor=cursor_of(shown[-1].customer) if more else None,
        )

    async def export(
        self, name: str, calling: Reader, *, form: Form = "csv", at: Moment = None
    ) -> StreamingResponse:
        """All members as one table, or a JSON object per line; nothing personal is in it."""
        whole_chain(calling)
        await self.lists.require(name)
        return exported(name, form, COLUMNS, self._pieces(name, at))

    async def of_customer(self, customer: str, calling: Reader) -> CustomerLists:
        """Every list that a customer is or was on, with its stays and their causes."""
        whole_chain(calling)
        found = await self.members.of_customer(customer)
        return CustomerLists(
            customer=customer,
            items=[
                OnListView(
                    list=each.list,
                    current=each.current,
                    intervals=[_stay(stay) for stay in each.intervals],
                )
                for each in found
            ],
        )

    async def _pieces(self, name: str, at: datetime | None) -> AsyncIterator[list[Sequence[Cell]]]:
        after: str | None = None
        while True:
            found = await self.members.page(name, at, after, PIECE)
            yield [_row(_member(each, at)) for each in found[:PIECE]]
            if len(found) <= PIECE:
                return
            after = found[PIECE - 1].customer


def _member(member: ListMember, at: datetime | None) -> ListMemberView:
    return ListMemberView(customer=member.customer, interval=_stay(stay_at(member, at)))


def stay_at(member: ListMember, at: datetime | None) -> Stay:
    """The stay that makes the customer a member at the moment (now: the last)."""
    if at is None:
        return member.intervals[-1]
    return next(each for each in member.intervals if each.entered <= at < each.left)


def _row(member: ListMemberView) -> Sequence[Cell]:
    stay = member.interval
    why = stay.entered_because
    return member.customer, stay.entered, stay.left, why.kind, why.by, why.job


def _stay(stay: Stay) -> StayView:
    left = stay.left_because
    return StayView(
        entered=show_moment(stay.entered),
        left=None if stay.left == FOREVER else show_moment(stay.left),
        entered_because=_reason(stay.entered_because),
        left_because=None if left is None else _reason(left),
    )


def _reason(reason: Reason) -> ReasonView:
    return ReasonView.model_validate(reason, from_attributes=True)
