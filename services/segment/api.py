"""HTTP of the segment service: decode, call a handler or a query."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from services.segment import handlers
from services.segment.domain import DefineSegment
from services.segment.handlers import Request
from services.segment.projections import FOREVER, Interval, Member
from services.segment.queries import Defined, Definitions, Figures, Members, interval_at
from services.segment.rules.language.tree import rule_schema
from services.segment.rules.reading import parse_rule
from services.segment.rules.sentences.tree import describe
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock, to_milliseconds
from shared.decider import invalid, not_found
from shared.events.contract import show_moment
from shared.eventstore import body_hash
from shared.execute import Writer
from shared.http import CommandId, Cursor, Limit, cursor_of, etag, position_of, principal
from shared.http.preconditions import IfMatchUnlessNew
from shared.wording import Languages

ENGLISH = Languages().wording("en")
Reader = Annotated[Principal, Depends(principal(Permission.SEGMENTS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.SEGMENTS_WRITE))]
Moment = Annotated[
    Annotated[AwareDatetime, AfterValidator(to_milliseconds)] | None,
    Query(description="A moment; now when left out. ISO 8601 with its zone."),
]


class DefinitionInput(BaseModel):
    """A segment's definition; `/v1/segments/rule-schema` describes `rule`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(max_length=200)
    rule: dict[str, Any]


class Recorded(BaseModel):
    """The answer to a command."""

    name: str
    version: int
    repeated: bool


class SegmentView(BaseModel):
    """A segment: what it means, and its figures now."""

    name: str
    title: str
    definition: int = Field(description="version of the definition")
    archived: bool
    rule: dict[str, Any]
    sentence: str = Field(description="the rule in words")
    members: int
    entered: int
    exited: int


class SegmentList(BaseModel):
    """All segments by name."""

    items: list[SegmentView]


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
class SegmentApi:
    """The endpoints, on what they need."""

    writer: Writer
    definitions: Definitions
    members: Members
    clock: Clock
    horizon: timedelta

    def router(self) -> APIRouter:
        """The routes below `/v1/segments`, and memberships of a customer."""
        router = APIRouter(prefix="/v1", tags=["segments"])
        router.add_api_route("/segments", self.all, methods=["GET"])
        router.add_api_route("/segments/rule-schema", self.schema, methods=["GET"])
        router.add_api_route("/segments/{name}", self.get, methods=["GET"])
        router.add_api_route("/segments/{name}", self.define, methods=["PUT"])
        router.add_api_route("/segments/{name}/archive", self.archive, methods=["POST"])
        router.add_api_route("/segments/{name}/members", self.page, methods=["GET"])
        router.add_api_route("/customers/{customer}/memberships", self.memberships, methods=["GET"])
        return router

    async def all(self, calling: Reader) -> SegmentList:
        """All segments with their figures."""
        _whole_chain(calling)
        figures = await self.members.figures()
        return SegmentList(
            items=[
                _view(each, figures.get(each.name, Figures()))
                for each in await self.definitions.all()
            ]
        )

    async def schema(self, _calling: Reader) -> dict[str, Any]:
        """The JSON Schema of the rule language."""
        return rule_schema()

    async def get(self, name: str, calling: Reader, response: Response) -> SegmentView:
        """One segment with its figures."""
        _whole_chain(calling)
        defined = await self._defined(name)
        figures = await self.members.figures()
        response.headers["ETag"] = etag(defined.version)
        return _view(defined, figures.get(name, Figures()))

    async def define(
        self,
        name: str,
        body: DefinitionInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Recorded:
        """Give the segment its (new) definition; the same again changes nothing.

        Another one needs `If-Match`.
        """
        _whole_chain(calling)
        now = self.clock.now()
        command = DefineSegment(name, body.title, body.rule, now, rests_on)
        request = Request(command_id, _plain(body), now)
        done = await handlers.define(self.writer, self.horizon, request, command)
        response.headers["ETag"] = etag(done.version)
        return Recorded(name=name, version=done.version, repeated=done.repeated)

    async def archive(self, name: str, calling: Writing, command_id: CommandId) -> Recorded:
        """Evaluate the segment no longer; its history stays."""
        _whole_chain(calling)
        request = Request(command_id, "archive", self.clock.now())
        done = await handlers.archive(self.writer, self.horizon, request, name)
        return Recorded(name=name, version=done.version, repeated=done.repeated)

    async def page(
        self,
        name: str,
        calling: Reader,
        at: Moment = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> MemberPage:
        """Who is in the segment, now or at any moment of the past."""
        _whole_chain(calling)
        await self._defined(name)
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
        _whole_chain(calling)
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

    async def _defined(self, name: str) -> Defined:
        defined = await self.definitions.get(name)
        if defined is None:
            raise not_found("segment", name)
        return defined


def _plain(body: DefinitionInput) -> object:
    """The definition as it was sent. Raises `Refused` for what cannot be written down."""
    try:
        plain: object = body.model_dump(mode="json")
        body_hash(plain)
    except (ValueError, RecursionError) as failure:
        raise invalid("rule", "nests too deep, or holds text that is no Unicode") from failure
    return plain


def _whole_chain(calling: Principal) -> None:
    """A segment is of the whole chain: a key of some branches sees and touches none of it.

    Raises `Refused` (403).
    """
    scope(calling, Kind.SEGMENT).require(None)


def _view(defined: Defined, figures: Figures) -> SegmentView:
    segment = defined.segment
    rule = dict(segment.rule)
    return SegmentView(
        name=defined.name,
        title=segment.title,
        definition=segment.definition,
        archived=segment.archived,
        rule=rule,
        sentence=describe(parse_rule(rule), ENGLISH),
        members=figures.members,
        entered=figures.entered,
        exited=figures.exited,
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
