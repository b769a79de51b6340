"""Branches over HTTP, below `/v1/branches`: opened, changed, moved, closed.

Everybody who reads customers reads the directory of branches; it belongs to the whole chain.
"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StringConstraints

from services.customer.api.configuration.changing import Changing, Named, Reader, Writing
from services.customer.api.configuration.inputs import Titles
from services.customer.api.configuration.views import Configured, configured
from services.customer.api.inputs import Input, Slug, Text
from services.customer.domain.configuration.branches import (
    Branch,
    BranchCommand,
    ChangeBranch,
    CloseBranch,
    MoveBranch,
    OpenBranch,
)
from services.customer.handlers.configuration import Request
from services.customer.handlers.departures import move_home_job
from shared.decider import not_found
from shared.events.configuration import BranchPlace, Hours, Weekday
from shared.http import CommandId, IfMatch, IfMatchUnlessNew, etag

TimeOfDay = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


class HoursInput(Input):
    """A stretch of a weekday that the branch is open, in its own zone."""

    day: Weekday
    opens: TimeOfDay
    closes: TimeOfDay


class PlaceInput(Input):
    """Where a branch is."""

    zone: Text = Field(description="IANA name of its time zone")
    city: Text | None = None
    address: Text | None = None

    def place(self) -> BranchPlace:
        """The place as it is recorded."""
        return BranchPlace(zone=self.zone, city=self.city, address=self.address)


class ShownInput(Input):
    """What customers read of a branch."""

    titles: Titles
    hours: tuple[HoursInput, ...] = Field(default=(), max_length=70)

    def recorded_hours(self) -> tuple[Hours, ...]:
        """The hours as they are recorded."""
        return tuple(Hours.model_validate(each.model_dump()) for each in self.hours)


class BranchInput(ShownInput):
    """A branch to be opened."""

    place: PlaceInput
    since: date | None = Field(default=None, description="left out: today")


class MoveInput(Input):
    """A branch goes to another place."""

    place: PlaceInput
    since: date | None = Field(default=None, description="left out: today")
    customers_to: Slug | None = Field(
        default=None, description="the branch that its home customers go to; left out: they stay"
    )


class CloseInput(Input):
    """A branch serves nobody any more."""

    since: date | None = Field(default=None, description="left out: today")
    customers_to: Slug | None = Field(
        default=None, description="the branch that its home customers go to; left out: they stay"
    )


class BranchView(BaseModel):
    """A branch; `version` is its ETag."""

    branch: str
    version: int
    titles: dict[str, str]
    place: BranchPlace
    hours: list[Hours]
    opened: str
    closed: str | None
    customers_to: str | None = Field(description="the branch that home customers were sent to last")
    job: str | None = Field(description="the job that sends them")


class BranchList(BaseModel):
    """Branches by name."""

    items: list[BranchView]


@dataclass(frozen=True, slots=True)
class BranchApi:
    """The endpoints."""

    changing: Changing

    def router(self) -> APIRouter:
        """The routes below `/v1/branches`."""
        router = APIRouter(prefix="/v1/branches", tags=["branches"])
        router.add_api_route("", self.all, methods=["GET"])
        router.add_api_route("/{name}", self.get, methods=["GET"])
        router.add_api_route("/{name}", self.open, methods=["PUT"])
        router.add_api_route("/{name}/shown", self.change, methods=["PUT"])
        router.add_api_route("/{name}/move", self.move, methods=["POST"])
        router.add_api_route("/{name}/close", self.close, methods=["POST"])
        return router

    async def all(
        self,
        _calling: Reader,
        *,
        closed: Annotated[bool, Query(description="also those that are closed")] = False,
    ) -> BranchList:
        """The branches of the chain."""
        branches = (await self.changing.book.fresh()).branches
        return BranchList(
            items=[
                _view(name, each)
                for name, each in sorted(branches.items.items())
                if closed or each.closed is None
            ]
        )

    async def get(self, name: Named, _calling: Reader, response: Response) -> BranchView:
        """One branch."""
        branch = (await self.changing.book.fresh()).branches.items.get(name)
        if branch is None:
            kind = "branch"
            raise not_found(kind, name)
        response.headers["ETag"] = etag(branch.version)
        return _view(name, branch)

    async def open(
        self,
        name: Named,
        body: BranchInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Configured:
        """Open a new branch, or one that had been closed."""
        request = self.changing.request(calling, command_id, f"branches/{name}", body)
        command = OpenBranch(
            branch=name,
            titles=dict(body.titles),
            place=body.place.place(),
            hours=body.recorded_hours(),
            since=body.since or request.at.date(),
            at=request.at,
            rests_on=rests_on,
        )
        return await self._changed(name, request, command, response)

    async def change(
        self,
        name: Named,
        body: ShownInput,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> Configured:
        """Give a branch other titles or working hours."""
        request = self.changing.request(calling, command_id, f"branches/{name}/shown", body)
        command = ChangeBranch(
            name, dict(body.titles), body.recorded_hours(), request.at, match.require_of
        )
        return await self._changed(name, request, command, response)

    async def move(
        self,
        name: Named,
        body: MoveInput,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> Configured:
        """Let a branch be at another place; a job moves its home customers, where asked to."""
        request = self.changing.request(calling, command_id, f"branches/{name}/move", body)
        command = MoveBranch(
            branch=name,
            place=body.place.place(),
            since=body.since or request.at.date(),
            customers_to=body.customers_to,
            at=request.at,
            rests_on=match.require_of,
        )
        return await self._changed(name, request, command, response)

    async def close(
        self,
        name: Named,
        body: CloseInput,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> Configured:
        """Let a branch serve nobody; a job moves its home customers, where asked to."""
        request = self.changing.request(calling, command_id, f"branches/{name}/close", body)
        command = CloseBranch(
            branch=name,
            since=body.since or request.at.date(),
            customers_to=body.customers_to,
            at=request.at,
            rests_on=match.require_of,
        )
        return await self._changed(name, request, command, response)

    async def _changed(
        self, name: str, request: Request, command: BranchCommand, response: Response
    ) -> Configured:
        done = await self.changing.carry_out("branches", request, command)
        branch = (await self.changing.book.fresh()).branches.items[name]
        return configured(name, branch.version, done, response)


def _view(name: str, branch: Branch) -> BranchView:
    return BranchView(
        branch=name,
        version=branch.version,
        titles=dict(branch.titles),
        place=branch.place,
        hours=list(branch.hours),
        opened=branch.opened,
        closed=branch.closed,
        customers_to=branch.heir,
        job=None if branch.heir is None else move_home_job(name, branch.heir_version),
    )
