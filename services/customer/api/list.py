"""The list over HTTP: pages, counts, quick search, saved views, and who was shown contacts.

What is searched for is a POST, so that no name and no number is in an address or an access log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel

from services.customer.api.desk import Desk, Reader, customers_of
from services.customer.api.list_inputs import (
    LARGEST_LIST,
    Contacts,
    Quick,
    SealedCursors,
    Search,
)
from services.customer.api.list_views import (
    AccessView,
    CustomerPage,
    ListCount,
    ListItem,
    QuickResult,
    count_view,
    in_sight,
    list_item,
    require_columns,
)
from services.customer.api.views import CustomerView, masked_view
from services.customer.domain.configuration.chosen import Configuration
from services.customer.domain.filters import Filter, Sorting
from services.customer.domain.views import SavedView, ViewName
from services.customer.handlers.revealing import Revealing
from services.customer.handlers.views import Views
from services.customer.projections.directory import DirectoryEntry
from services.customer.queries.directory import Listing
from services.customer.queries.quick import QuickSearch
from shared.access import Permission, Principal
from shared.events.contract import show_moment
from shared.http import Cursor, Limit, Page, page_of, position_of, principal

Watching = Annotated[Principal, Depends(principal(Permission.OPERATIONS_RUN))]
Named = Annotated[ViewName, Path()]
ListLimit = Annotated[int, Query(ge=1, le=LARGEST_LIST, description="Most items of a page.")]


class NamedView(BaseModel):
    """A saved view and its name."""

    name: str
    view: SavedView


@dataclass(frozen=True, slots=True)
class ListApi:
    """The endpoints of the list."""

    desk: Desk
    quick: QuickSearch
    revealing: Revealing
    views: Views
    cursors: SealedCursors

    def router(self) -> APIRouter:
        """The routes; they come before those of single customers."""
        router = APIRouter(prefix="/v1", tags=["list"])
        add = router.add_api_route
        add("/customers", self.page, methods=["GET"])
        add("/customers/count", self.count, methods=["GET"])
        add("/customers/search", self.search, methods=["POST"])
        add("/customers/search/count", self.search_count, methods=["POST"])
        add("/customers/quick", self.quick_search, methods=["POST"])
        add("/views", self.all_views, methods=["GET"])
        add("/views/{name}", self.view, methods=["GET"])
        add("/views/{name}", self.save_view, methods=["PUT"])
        add("/views/{name}", self.forget_view, methods=["DELETE"], status_code=204)
        add("/contact-reveals", self.reveals, methods=["GET"])
        return router

    async def page(
        self, calling: Reader, limit: ListLimit = 50, cursor: Cursor = None
    ) -> Page[CustomerView]:
        """Customers of the caller's branches by name, contacts masked."""
        listing = self._listing(Filter(), Sorting(), calling, await self.desk.book.fresh())
        after = self.cursors.open(cursor, listing.sorting)
        found = await self.desk.directory.page(listing.scope, after, limit, listing)
        following = None if found.after is None else self.cursors.seal(found.after, Sorting())
        return Page[CustomerView](
            items=[masked_view(entry, listing.scope) for entry in found.entries],
            next_cursor=following,
        )

    async def count(self, calling: Reader) -> ListCount:
        """How many customers the caller's branches have."""
        return await self.search_count(Filter(), calling)

    async def search(self, body: Search, calling: Reader) -> CustomerPage:
        """A page of the customers whom a filter finds, in the order of a column."""
        now = await self.desk.book.fresh()
        require_columns(body.columns, now)
        listing = self._listing(body.filter(), body.sort, calling, now)
        after = self.cursors.open(body.cursor, body.sort)
        found = await self.desk.directory.page(listing.scope, after, body.limit, listing)
        items = await self._shown(found.entries, body.columns, body.contacts, calling, "search")
        following = None if found.after is None else self.cursors.seal(found.after, body.sort)
        return CustomerPage(items=items, next_cursor=following)

    async def search_count(self, body: Filter, calling: Reader) -> ListCount:
        """How many customers a filter finds: exact up to 10,000."""
        now = await self.desk.book.fresh()
        listing = self._listing(body, Sorting(), calling, now)
        return count_view(await self.desk.directory.count(listing.scope, listing))

    async def quick_search(self, body: Quick, calling: Reader) -> QuickResult:
        """Whom a name, phone, e-mail or card finds, or a part of one.

        A whole phone, e-mail or card finds anyone in the chain; of a customer of other branches
        only the name and masked contacts are shown.
        """
        require_columns(body.columns, await self.desk.book.fresh())
        found = await self.quick.find(
            body.q, customers_of(calling), body.limit, archived=body.archived
        )
        items = await self._shown(found.entries, body.columns, body.contacts, calling, "quick")
        return QuickResult(items=items, more=found.more)

    async def all_views(self, calling: Reader) -> list[NamedView]:
        """The caller's saved views."""
        found = await self.views.all_of(calling.id)
        return [NamedView(name=name, view=view) for name, view in found]

    async def view(self, name: Named, calling: Reader) -> SavedView:
        """One of the caller's views."""
        return await self.views.get(calling.id, name)

    async def save_view(self, name: Named, body: SavedView, calling: Reader) -> SavedView:
        """Keep a view under a name, in place of what was there."""
        now = await self.desk.book.fresh()
        require_columns(body.columns, now)
        await self.views.save(calling.id, name, body)
        return body

    async def forget_view(self, name: Named, calling: Reader) -> Response:
        """Let a view go."""
        await self.views.forget(calling.id, name)
        return Response(status_code=204)

    async def reveals(
        self,
        _calling: Watching,
        by: Annotated[str | None, Query(max_length=200)] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[AccessView]:
        """Who was shown contacts in the clear, the newest first."""
        lines = await self.revealing.reveals.page(
            by=by, before=position_of(cursor, str), limit=limit + 1
        )
        shown = [
            AccessView(
                id=line.id,
                at=show_moment(line.at),
                by=line.by,
                way=line.way,
                customers=list(line.customers),
            )
            for line in lines
        ]
        return page_of(shown, limit, lambda line: line.id)

    def _listing(
        self, where: Filter, sorting: Sorting, calling: Principal, now: Configuration
    ) -> Listing:
        return Listing(where, sorting, customers_of(calling), now)

    async def _shown(
        self,
        entries: Sequence[DirectoryEntry],
        columns: Sequence[str],
        contacts: Contacts,
        calling: Principal,
        way: str,
    ) -> list[ListItem]:
        now, narrow = await self.desk.book.fresh(), customers_of(calling)
        wanted = contacts == "clear" and "contacts" in columns
        whole = {entry.id for entry in entries if in_sight(entry, narrow)}
        if wanted:
            await self.revealing.allow(calling, sorted(whole), way)
        return [
            list_item(
                entry,
                columns,
                now,
                whole=entry.id in whole,
                clear=wanted and entry.id in whole,
            )
            for entry in entries
        ]
