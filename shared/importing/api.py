"""Imports of files over HTTP, alike in every service: listed, tried out, started, reverted.

How a file is sent and what its columns can be is for each service to say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from shared.access import Kind, Permission, Principal, scope
from shared.http import Cursor, Limit, Page, page_of, position_of, principal
from shared.ids import derived_id
from shared.importing.drafts import MAX_BYTES, Draft, Imports, Opened, ReadingT
from shared.importing.listing import ImportList
from shared.jobs import JobView
from shared.jobs.api import view_of as job_view

MEDIA_TYPES = (
    "text/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.apache.parquet",
    "application/octet-stream",
)
Importer = Annotated[Principal, Depends(principal(Permission.IMPORTS_RUN))]
FileName = Annotated[str, Query(min_length=1, max_length=200)]
UPLOAD: dict[str, Any] = {
    "x-max-bytes": MAX_BYTES,
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES
        },
    },
}
"""What the description of an upload says of its body, which is the file itself."""


class SuggestionView(BaseModel):
    """What a column was taken for."""

    to: str
    score: float = Field(description="how sure, of 100")
    by: str = Field(description="`name` or `content`")


class ImportFileView(BaseModel):
    """An import, but for how its file is read."""

    id: str = Field(description="also that of its job")
    by: str
    created_at: datetime
    format: str
    encoding: str | None = None
    delimiter: str | None = None
    rows: int
    dry_run: str | None = Field(default=None, description="id of the job that tried it out last")
    started: bool


class ImportItem(BaseModel):
    """An import in the list."""

    id: str
    by: str
    created_at: datetime
    rows: int
    started: bool


@dataclass(frozen=True, slots=True)
class FileRoutes(Generic[ReadingT]):
    """The endpoints that are alike; `model` is what `view` makes of an import."""

    imports: Imports[ReadingT]
    listing: ImportList
    view: Callable[[Opened[ReadingT]], BaseModel]
    model: type[BaseModel]

    def add_to(self, router: APIRouter) -> None:
        """Add them to the router of the service's imports, whose own come first."""
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("/{import_id}", self.get, methods=["GET"], response_model=self.model)
        for path, endpoint in (
            ("dry-run", self.try_out),
            ("start", self.start),
            ("revert", self.revert),
        ):
            router.add_api_route(
                f"/{{import_id}}/{path}", endpoint, methods=["POST"], status_code=202
            )

    async def taken(
        self, request: Request, calling: Principal, command_id: str, filename: str, about: str = ""
    ) -> Opened[ReadingT]:
        """Take in the file that is the body of the request."""
        return await self.imports.upload(
            derived_id("import", command_id),
            calling,
            request.stream(),
            filename,
            request.headers.get("content-type", MEDIA_TYPES[-1])[:200],
            about,
        )

    async def page(
        self, calling: Importer, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[ImportItem]:
        """Imports, the newest first."""
        by = None if scope(calling, Kind.IMPORT).everything else calling.id
        found = await self.listing.page(by, position_of(cursor, str), limit + 1)
        drafts = [self.imports.reader.stored(raw) for raw in found]
        page = page_of(drafts, limit, lambda draft: draft.listed)
        return Page[ImportItem](
            items=[_item(draft) for draft in page.items], next_cursor=page.next_cursor
        )

    async def get(self, import_id: str, calling: Importer) -> BaseModel:
        """One import."""
        draft = await self.imports.find(import_id, calling)
        return self.view(Opened(draft, await self.imports.header(draft)))

    async def try_out(self, import_id: str, calling: Importer) -> JobView:
        """Look through all rows; what would become of each is told by the job's results."""
        return job_view(await self.imports.try_out(import_id, calling))

    async def start(self, import_id: str, calling: Importer) -> JobView:
        """Record the rows; the job has the import's id."""
        return job_view(await self.imports.start(import_id, calling))

    async def revert(self, import_id: str, calling: Importer) -> JobView:
        """Take back what nobody has changed since; the results tell what stays."""
        return job_view(await self.imports.revert(import_id, calling))


def file_view_of(draft: Draft[Any]) -> dict[str, Any]:
    """The fields of an `ImportFileView`."""
    return {
        "id": draft.id,
        "by": draft.by,
        "created_at": draft.created_at,
        "format": draft.form.kind,
        "encoding": draft.form.encoding,
        "delimiter": draft.form.delimiter,
        "rows": draft.rows,
        "dry_run": draft.dry_run,
        "started": draft.started_by is not None,
    }


def suggestions_of(opened: Opened[Any]) -> dict[int, SuggestionView]:
    """What columns were taken for, by their places."""
    return {
        each.column: SuggestionView(to=each.target, score=round(each.score, 1), by=each.by)
        for each in opened.suggestions
    }


def _item(draft: Draft[Any]) -> ImportItem:
    return ImportItem(
        id=draft.id,
        by=draft.by,
        created_at=draft.created_at,
        rows=draft.rows,
        started=draft.started_by is not None,
    )
