"""Exports over HTTP: ask for one, see the log, have a fresh link mailed, fetch the file."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StringConstraints

from services.customer.api.inputs import Input
from services.customer.api.list_inputs import DEFAULT_COLUMNS
from services.customer.api.list_views import require_columns
from services.customer.domain.filters import Column, Filter, Sorting
from services.customer.domain.views import MOST_COLUMNS
from services.customer.handlers.configuration import ConfigurationBook
from services.customer.handlers.exports import Asked, Export, Exports, Format
from shared.access import Permission, Principal
from shared.decider import Refused, invalid
from shared.http import (
    CommandId,
    Cursor,
    Limit,
    Page,
    asked_hash,
    page_of,
    position_of,
    principal,
)
from shared.identifiers import IdentifierRules
from shared.ids import derived_id
from shared.jobs import JobView
from shared.jobs.api import view_of as job_view

Exporting = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_EXPORT))]
Email = Annotated[str, StringConstraints(min_length=3, max_length=200)]
Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{43}$")]


class ExportInput(Input):
    """Whom and what of them to write to a file, and where the link is to go."""

    format: Format = "xlsx"
    filter: Filter = Filter()
    sort: Sorting = Sorting()
    columns: tuple[Column, ...] = Field(
        default=DEFAULT_COLUMNS, min_length=1, max_length=MOST_COLUMNS
    )
    email: Email


class LinkInput(Input):
    """Where the link is to go."""

    email: Email


class DownloadView(BaseModel):
    """One use of a link."""

    at: datetime
    to: str = Field(description="id of the principal that the link was made for")


class ExportView(BaseModel):
    """An entry of the log."""

    id: str = Field(description="also that of its job")
    by: str
    at: datetime
    format: str
    filter: dict[str, Any]
    sort: dict[str, Any]
    columns: list[str]
    rows: int | None = Field(description="null until it is written")
    ended_at: datetime | None
    downloads: list[DownloadView]


@dataclass(frozen=True, slots=True)
class ExportApi:
    """The endpoints below `/v1/exports`."""

    exports: Exports
    book: ConfigurationBook
    rules: IdentifierRules

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v1/exports", tags=["exports"])
        router.add_api_route("", self.begin, methods=["POST"], status_code=202)
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("/{export}/link", self.link, methods=["POST"], status_code=204)
        router.add_api_route(
            "/download/{token}",
            self.download,
            methods=["GET"],
            response_class=StreamingResponse,
            responses={200: {"content": {"application/octet-stream": {}}}},
        )
        return router

    async def begin(self, body: ExportInput, calling: Exporting, command_id: CommandId) -> JobView:
        """Write the list to a file; a link to it is mailed."""
        require_columns(body.columns, await self.book.fresh())
        asked = Asked(body.format, body.filter, body.sort, body.columns, self._address(body.email))
        hashed = asked_hash(self.rules.secret, body)
        export = derived_id("export", command_id)
        return job_view(await self.exports.begin(export, calling, asked, hashed))

    async def page(
        self, calling: Exporting, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[ExportView]:
        """Who took what and when, the newest first."""
        found = await self.exports.page(calling, position_of(cursor, str), limit + 1)
        page = page_of(found, limit, lambda export: export.listed)
        return Page[ExportView](
            items=[_view(export) for export in page.items], next_cursor=page.next_cursor
        )

    async def link(self, export: str, body: LinkInput, calling: Exporting) -> None:
        """Have a fresh link mailed, for as long as the file is there."""
        await self.exports.send_link(export, calling, self._address(body.email))

    async def download(self, token: Token) -> StreamingResponse:
        """The file, once; without a key, since the link is one."""
        file = await self.exports.download(token)
        return StreamingResponse(
            self.exports.files.read(file),
            media_type=file.media_type,
            headers={
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
                "Content-Length": str(file.size),
                "Cache-Control": "no-store",
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
            },
        )

    def _address(self, email: str) -> str:
        try:
            return self.rules.known("email", email, "email").value
        except Refused as refusal:
            raise invalid("email", "an e-mail address, like name@example.com") from refusal


def _view(export: Export) -> ExportView:
    return ExportView(
        id=export.id,
        by=export.by,
        at=export.at,
        format=export.format,
        filter=export.filter,
        sort=export.sorting,
        columns=export.columns,
        rows=export.rows,
        ended_at=export.ended_at,
        downloads=[DownloadView(at=each.at, to=each.to) for each in export.downloads],
    )
