"""What a customer has, and how it came to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from services.interaction.api.points.desk import InPath, PointsDesk, Reading
from services.interaction.api.points.entries import EntryView, entry_view
from services.interaction.domain.points.balance import Dated, balance_at
from services.interaction.handlers.incoming.forms import At
from services.interaction.projections.points import PointsEntry
from services.interaction.queries.points import ledger_of
from shared.access import Kind, scope
from shared.events.contract import Moment
from shared.http import Cursor, Limit, Page, etag, page_of, position_of


class DatedView(BaseModel):
    """Points with the moment at which something becomes of them."""

    at: Moment
    points: int


class BalanceView(BaseModel):
    """What a customer has now; nothing of it is ever below 0."""

    customer: str = Field(description="who has the points, where customers were merged")
    version: int = Field(description="of the ledger")
    usable: int = Field(description="can be spent now")
    usable_minor: int | None = Field(description="what that is worth; null without rules")
    pending: list[DatedView] = Field(description="by when they can be spent")
    expiring: list[DatedView] = Field(description="by the end of their life, the next one first")
    kept: int = Field(description="for receipts that have not come yet")
    owed: int = Field(description="the next points that come pay for these")


class ExpiringView(BaseModel):
    """A customer of whose points some expire soon."""

    customer: str
    points: int = Field(description="that expire before the moment that was asked for")
    first: Moment


@dataclass(frozen=True, slots=True)
class LedgerApi:
    """The endpoints that read."""

    desk: PointsDesk

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v1", tags=["points"])
        add = router.add_api_route
        add("/customers/{customer}/points", self.balance, methods=["GET"])
        add("/customers/{customer}/points/ledger", self.page, methods=["GET"])
        add("/points/expiring", self.expiring, methods=["GET"])
        return router

    async def balance(self, customer: InPath, _calling: Reading, response: Response) -> BalanceView:
        """What a customer has now, from the ledger itself: whatever was accepted counts."""
        holder, state, version = await self.desk.ledger(customer)
        now = self.desk.clock.now()
        found, rule = balance_at(state, now), (await self.desk.book.now()).at(now)
        response.headers["ETag"] = etag(version)
        return BalanceView(
            customer=holder,
            version=version,
            usable=found.usable,
            usable_minor=None if rule is None else found.usable * rule[1].point_value,
            pending=_dated(found.pending),
            expiring=_dated(found.expiring),
            kept=found.kept,
            owed=found.owed,
        )

    async def page(
        self, customer: InPath, calling: Reading, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[EntryView]:
        """The ledger, the newest entry first; all `points` together are what is left, less owed."""
        holder, _, _ = await self.desk.ledger(customer)
        narrow, before = scope(calling, Kind.POINTS), position_of(cursor, int)
        told = [
            entry_view(each)
            for each in reversed(await ledger_of(self.desk.ledgers.writer, holder))
            if (before is None or each.version < before) and narrow.allows(each.branch)
        ]
        return page_of(told[: limit + 1], limit, lambda each: each.version)

    async def expiring(
        self,
        calling: Reading,
        before: Annotated[At, Query(description="the end of the period")],
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[ExpiringView]:
        """Who has points that expire before a moment, the earliest first."""
        found = await self.desk.entries.expiring(
            scope(calling, Kind.POINTS), before, position_of(cursor, str), limit + 1
        )
        page = page_of(found, limit, lambda each: each.expiry)
        return Page[ExpiringView](
            items=[_expiring_view(each, before) for each in page.items],
            next_cursor=page.next_cursor,
        )


def _dated(found: Sequence[Dated]) -> list[DatedView]:
    return [DatedView(at=each.at, points=each.points) for each in found]


def _expiring_view(entry: PointsEntry, before: datetime) -> ExpiringView:
    ends = [
        (lot.expires, lot.points)
        for lot in entry.lots.values()
        if lot.expires is not None and lot.expires < before
    ]
    return ExpiringView(
        customer=entry.id,
        points=sum(points for _, points in ends),
        first=min(expires for expires, _ in ends),
    )
