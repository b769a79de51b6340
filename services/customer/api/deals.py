"""The endpoints below `/v1/deals`: decode, call a handler or a query."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.customer.api.deal_inputs import (
    DealInput,
    DealPatch,
    LossInput,
    NoInput,
    ReopeningInput,
    ResponsibleInput,
    StageInput,
    Status,
)
from services.customer.api.deal_views import (
    Dealt,
    DealView,
    ForecastGroup,
    ForecastView,
    dealt,
    figures_view,
    version_of,
    view_of,
)
from services.customer.domain.dealing import whatever
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.deals import Deals, Opening, Request
from services.customer.queries.deal_owners import DealOwners
from services.customer.queries.deals import DealBoard, Filters, Grouping, Part, figures
from shared.access import Kind, Permission, Principal, Scope, scope
from shared.clock import Clock
from shared.decider import not_found
from shared.http import (
    CommandId,
    Cursor,
    IfMatch,
    Limit,
    MinVersion,
    Page,
    asked_hash,
    cursor_of,
    etag,
    position_of,
    principal,
    until,
)

Reader = Annotated[Principal, Depends(principal(Permission.DEALS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.DEALS_WRITE))]
Month = Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}$", description="the last one")]
Name = Annotated[str | None, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deals a list is to hold."""

    pipeline: Name = None
    stage: Name = None
    status: Status | None = None
    responsible: Name = None
    branch: Name = None
    customer: Name = None
    company: Name = None

    def filters(self) -> Filters:
        """As the query takes it."""
        return Filters(**{name: getattr(self, name) for name in self.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class DealApi:
    """The endpoints, on what they need; `secret` is that of the chain's keyed hashes."""

    deals: Deals
    board: DealBoard
    owners: DealOwners
    book: ConfigurationBook
    clock: Clock
    secret: bytes

    def router(self) -> APIRouter:
        """The routes below `/v1/deals`."""
        router = APIRouter(prefix="/v1/deals", tags=["deals"])
        add = router.add_api_route
        add("", self.open, methods=["POST"], status_code=201)
        add("", self.page, methods=["GET"])
        # Before the paths that take any id.
        add("/forecast", self.forecast, methods=["GET"])
        add("/{deal}", self.get, methods=["GET"])
        add("/{deal}", self.change, methods=["PATCH"])
        add("/{deal}/stage", self.move, methods=["POST"])
        add("/{deal}/win", self.win, methods=["POST"])
        add("/{deal}/lose", self.lose, methods=["POST"])
        add("/{deal}/reopen", self.reopen, methods=["POST"])
        add("/{deal}/responsible", self.assign, methods=["POST"])
        return router

    async def open(
        self, body: DealInput, calling: Writing, command_id: CommandId, response: Response
    ) -> Dealt:
        """Begin a deal; who answers for it is chosen by the rule of its type."""
        settled = await self.deals.open(
            self._request(calling, command_id, ["open", body]),
            Opening(
                pipeline=body.pipeline,
                terms=body.terms(),
                customer=body.customer,
                company=body.company,
                stage=body.stage,
                words=body.words(),
                responsible=body.responsible,
            ),
        )
        return dealt(settled, response)

    async def page(
        self,
        calling: Reader,
        wanted: Annotated[Wanted, Depends()],
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[DealView]:
        """Deals of the caller's branches, the oldest first; of a merged customer the survivor's."""
        after = position_of(cursor, str)
        filters = wanted.filters()
        if filters.customer is not None:
            living = await self.owners.living(filters.customer)
            filters = replace(filters, customer=living)
        found = await self.board.page(_scope(calling), filters, after, limit)
        return Page[DealView](
            items=[view_of(each) for each in found.deals],
            next_cursor=None if found.after is None else cursor_of(found.after),
        )

    async def forecast(
        self,
        calling: Reader,
        by: Grouping = "month",
        pipeline: Name = None,
        until_month: Month = None,
    ) -> ForecastView:
        """What open deals are likely to bring: by month of the expected close, person or branch."""
        found = await self.board.forecast(_scope(calling), by, pipeline, until_month)
        pipelines = (await self.book.fresh()).pipelines
        groups: dict[str | None, list[Part]] = {}
        for part in found:
            groups.setdefault(part.group, []).append(part)
        return ForecastView(
            by=by,
            total=figures_view(figures(found, pipelines)),
            groups=[
                ForecastGroup(
                    group=group, **figures_view(figures(groups[group], pipelines)).model_dump()
                )
                for group in sorted(groups, key=lambda each: (each is None, each or ""))
            ],
        )

    async def get(
        self, deal: str, calling: Reader, response: Response, min_version: MinVersion = None
    ) -> DealView:
        """One deal of the caller's branches."""
        if min_version is not None:
            await until(lambda: self._has(deal, min_version))
        found = await self.board.get(deal)
        if found is None:
            kind = "deal"
            raise not_found(kind, deal)
        _scope(calling).require(found.branch)
        view = view_of(found)
        response.headers["ETag"] = etag(view.version)
        return view

    async def change(
        self,
        deal: str,
        body: DealPatch,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatch,
        response: Response,
    ) -> Dealt:
        """Say something else of a deal; what is left out stays, null clears."""
        said = body.model_dump(mode="json", exclude_unset=True)
        request = self._request(calling, command_id, ["change", deal, said], rests_on.require)
        settled = await self.deals.change(request, deal, body.terms(), body.words(), body.cleared())
        return dealt(settled, response)

    async def move(
        self,
        deal: str,
        body: StageInput,
        calling: Writing,
        command_id: CommandId,
        response: Response,
    ) -> Dealt:
        """Let a deal come into another stage."""
        request = self._request(calling, command_id, ["stage", deal, body])
        return dealt(await self.deals.move(request, deal, body.stage), response)

    async def win(
        self,
        deal: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        body: NoInput | None = None,
    ) -> Dealt:
        """Close a deal as won."""
        del body
        request = self._request(calling, command_id, ["win", deal])
        return dealt(await self.deals.win(request, deal), response)

    async def lose(
        self,
        deal: str,
        body: LossInput,
        calling: Writing,
        command_id: CommandId,
        response: Response,
    ) -> Dealt:
        """Close a deal as lost."""
        request = self._request(calling, command_id, ["lose", deal, body])
        return dealt(await self.deals.lose(request, deal, body.reason, body.comment), response)

    async def reopen(
        self,
        deal: str,
        calling: Writing,
        command_id: CommandId,
        response: Response,
        body: ReopeningInput | None = None,
    ) -> Dealt:
        """Let a closed deal go on."""
        stage = None if body is None else body.stage
        request = self._request(calling, command_id, ["reopen", deal, stage])
        return dealt(await self.deals.reopen(request, deal, stage), response)

    async def assign(
        self,
        deal: str,
        body: ResponsibleInput,
        calling: Writing,
        command_id: CommandId,
        response: Response,
    ) -> Dealt:
        """Let somebody else, or nobody, answer for a deal."""
        request = self._request(calling, command_id, ["responsible", deal, body])
        return dealt(await self.deals.assign(request, deal, body.responsible), response)

    async def _has(self, deal: str, version: int) -> bool:
        found = await self.board.get(deal)
        return found is not None and version_of(found) >= version

    def _request(
        self,
        calling: Principal,
        command_id: str,
        said: list[object],
        rests_on: Callable[[int], None] = whatever,
    ) -> Request:
        """The request with the keyed hash of what was said, narrowed to the caller's branches."""
        return Request(
            command_id,
            asked_hash(self.secret, said),
            self.clock.now(),
            may_touch=_scope(calling).require,
            rests_on=rests_on,
        )


def _scope(calling: Principal) -> Scope:
    return scope(calling, Kind.DEAL)
