"""Members and memberships as they are shown."""

from datetime import datetime

from pydantic import BaseModel, Field

from services.segment.projections.members import FOREVER, Interval, Member
from services.segment.queries.activity import Summary
from services.segment.queries.members import interval_at
from shared.events.contract import Moment, show_moment


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


class MemberProfile(BaseModel):
    """What the member has bought and is, as it is known now."""

    receipts: int
    spent_minor: int = Field(description="net")
    first_receipt: Moment | None
    last_receipt: Moment | None
    home_branch: str | None
    city: str | None


class MemberView(BaseModel):
    """A member with the interval that makes it one."""

    customer: str
    interval: IntervalView
    definition: int = Field(description="version of the definition that let the customer in")
    profile: MemberProfile


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
    """Every segment that a customer is or was in; with `at`, those of that moment."""

    customer: str
    at: Moment | None = None
    items: list[MembershipView]


def member_view(member: Member, at: datetime | None, summary: Summary) -> MemberView:
    """A member as it is shown."""
    interval = interval_at(member, at)
    return MemberView(
        customer=member.customer,
        interval=interval_view(interval),
        definition=interval.definition,
        profile=MemberProfile(
            receipts=summary.receipts,
            spent_minor=summary.spent,
            first_receipt=summary.first,
            last_receipt=summary.last,
            home_branch=summary.home_branch,
            city=summary.city,
        ),
    )


def interval_view(interval: Interval) -> IntervalView:
    """An interval as it is shown."""
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
