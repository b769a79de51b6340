"""HTTP of who is and was in a segment."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from services.segment.api.access import Moment, Reader, whole_chain
from services.segment.projections.members import FOREVER, Interval, Member
from services.segment.queries.definitions import Definitions
from services.segment.queries.members import Members, interval_at
from shared.clock import Clock
from shared.events.contract import show_moment
from shared.http import Cursor, Limit, cursor_of, position_of


class CauseView(BaseModel):
    """Why a membership began or ended."""

    kind: str
    event: str | None = None
    import_id: str | None = None


class IntervalView(BaseModel):
    """In the segment from `entered` on, until just before `exited` (null: still)."""

    entered: str
    exited: str | None
    entered_because: CauseView
    exited_because: CauseView | None


class MemberView(BaseModel):
    """A member with the interval that makes it one."""

    customer: str
    interval: IntervalView


class MemberPage(BaseModel):
    """Members at a moment; `count` is that of all pages together, exact."""

    segment: str
    at: str
    count: int
    items: list[MemberView]
    next_cursor: str | None


class MembershipView(BaseModel):
    """One customer's history in one segment."""

    segment: str
    current: bool
    intervals: list[IntervalView]


class CustomerMemberships(BaseModel):
    """Every segment that a customer is or was in."""

    customer: str
    items: list[MembershipView]


@dataclass(frozen=True, slots=True)
class MemberApi:
    """The endpoints, on what they need."""

    definitions: Definitions
    members: Members
    clock: Clock

    def router(self) -> APIRouter:
        """Members of a segment, and memberships of a customer."""
        router = APIRouter(prefix="/v1", tags=["segments"])
        router.add_api_route("/segments/{name}/members", self.page, methods=["GET"])
        router.add_api_route("/customers/{customer}/memberships", self.memberships, methods=["GET"])
        return router

    async def page(
        self,
        name: str,
        calling: Reader,
        at: Moment = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> MemberPage:
        """Who is in the segment, now or at any moment of the past."""
        whole_chain(calling)
        await self.definitions.require(name)
        after = position_of(cursor, str)
        found = await self.members.page(name, at, after, limit)
        shown = found[:limit]
        more = len(found) > limit
        return MemberPage(
            segment=name,
            at=show_moment(at or self.clock.now()),
            count=await self.members.count(name, at),
            items=[_member(each, at) for each in shown],
            next_cursor=cursor_of(shown[-1].customer) if more else None,
        )

    async def memberships(self, customer: str, calling: Reader) -> CustomerMemberships:
        """Every segment that a customer is or was in, with its intervals and their causes."""
        whole_chain(calling)
        found = await self.members.of_customer(customer)
        return CustomerMemberships(
            customer=customer,
            items=[
                MembershipView(
                    segment=each.segment,
                    current=each.current,
                    intervals=[_interval(interval) for interval in each.intervals],
                )
                for each in found
            ],
        )


def _member(member: Member, at: datetime | None) -> MemberView:
    return MemberView(customer=member.customer, interval=_interval(interval_at(member, at)))


def _interval(interval: Interval) -> IntervalView:
    ended = interval.exited != FOREVER
    left = interval.exited_because
    return IntervalView(
        entered=show_moment(interval.entered),
        exited=show_moment(interval.exited) if ended else None,
        entered_because=CauseView.model_validate(interval.entered_because, from_attributes=True),
        exited_because=(
            None if left is None else CauseView.model_validate(left, from_attributes=True)
        ),
    )
