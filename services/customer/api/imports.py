"""Imports over HTTP: send a file, say what its columns are, try it out, start it, take it back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from services.customer.api.inputs import Input, Slug, Text
from services.customer.domain.importing.columns import ColumnUse, FileReading
from services.customer.handlers.imports import Draft, Imports
from services.customer.handlers.imports.drafts import MAX_BYTES, Opened
from services.customer.queries.imports import ImportList
from shared.access import Kind, Permission, Principal, scope
from shared.events.customer import Channel
from shared.http import CommandId, Cursor, Limit, Page, page_of, position_of, principal
from shared.ids import derived_id
from shared.jobs import JobView
from shared.jobs.api import view_of as job_view

PATH = "/v1/imports"
MEDIA_TYPES = (
    "text/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.apache.parquet",
    "application/octet-stream",
)
Importer = Annotated[Principal, Depends(principal(Permission.IMPORTS_RUN))]
_BODY: dict[str, Any] = {
    "x-max-bytes": MAX_BYTES,
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES
        },
    },
}


class UseInput(Input):
    """What a column is."""

    to: Annotated[str, Field(max_length=100, description="`phone`, `surname`, `custom.<name>`, …")]
    topic: Slug | None = Field(default=None, description="of a consent")
    channels: tuple[Channel, ...] = Field(default=(), max_length=5, description="of a consent")


class MappingInput(Input):
    """How the file is read; a column that is left out is not imported."""

    columns: dict[str, UseInput] = Field(max_length=300)
    defaults: dict[str, Text] = Field(
        default={}, max_length=100, description="values for what a row leaves empty"
    )
    date_order: Literal["dmy", "mdy"] = "dmy"
    consent_source: Slug = "import"
    fill: Literal["overwrite", "empty"] = Field(
        default="overwrite", description="whether the file wins over the record, or fills its gaps"
    )


class SuggestionView(BaseModel):
    """What a column was taken for."""

    to: str
    score: float = Field(description="how sure, of 100")
    by: str = Field(description="`name` or `content`")


class ColumnView(BaseModel):
    """A column of the file."""

    name: str | None = Field(description="null once the file is gone")
    to: str | None = Field(description="what it is imported as; null: not at all")
    topic: str | None = None
    channels: list[str] = []
    suggestion: SuggestionView | None = Field(
        default=None, description="of an upload; a consent is never taken without being asked for"
    )


class ImportView(BaseModel):
    """An import."""

    id: str = Field(description="also that of its job")
    by: str
    created_at: datetime
    format: str
    encoding: str | None = None
    delimiter: str | None = None
    rows: int
    columns: list[ColumnView]
    defaults: dict[str, str]
    date_order: str
    consent_source: str
    fill: str
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
class ImportApi:
    """The endpoints below `/v1/imports`."""

    imports: Imports
    listing: ImportList

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix=PATH, tags=["imports"])
        router.add_api_route(
            "", self.upload, methods=["POST"], status_code=201, openapi_extra=_BODY
        )
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("/{import_id}", self.get, methods=["GET"])
        router.add_api_route("/{import_id}/mapping", self.read_as, methods=["PUT"])
        for path, endpoint in (
            ("dry-run", self.try_out),
            ("start", self.start),
            ("revert", self.revert),
        ):
            router.add_api_route(
                f"/{{import_id}}/{path}", endpoint, methods=["POST"], status_code=202
            )
        return router

    async def upload(
        self,
        request: Request,
        calling: Importer,
        command_id: CommandId,
        filename: Annotated[str, Query(min_length=1, max_length=200)] = "upload",
    ) -> ImportView:
        """Take in a CSV, XLSX or Parquet file, told by its content; the body is the file itself."""
        opened = await self.imports.upload(
            derived_id("import", command_id),
            calling,
            request.stream(),
            filename,
            request.headers.get("content-type", MEDIA_TYPES[-1])[:200],
        )
        return _view(opened)

    async def page(
        self, calling: Importer, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[ImportItem]:
        """Imports, the newest first."""
        by = None if scope(calling, Kind.IMPORT).everything else calling.id
        found = await self.listing.page(by, position_of(cursor, str), limit + 1)
        drafts = [msgspec.convert(raw, Draft) for raw in found]
        page = page_of(drafts, limit, lambda draft: draft.listed)
        return Page[ImportItem](
            items=[_item(draft) for draft in page.items], next_cursor=page.next_cursor
        )

    async def get(self, import_id: str, calling: Importer) -> ImportView:
        """One import."""
        draft = await self.imports.find(import_id, calling)
        return _view(Opened(draft, await self.imports.header(draft)))

    async def read_as(self, import_id: str, body: MappingInput, calling: Importer) -> ImportView:
        """Say what the columns are; the whole mapping each time, until it is started."""
        columns = {
            name: ColumnUse(use.to, use.topic, use.channels) for name, use in body.columns.items()
        }
        how: dict[str, Any] = {
            "defaults": dict(body.defaults),
            "date_order": body.date_order,
            "consent_source": body.consent_source,
            "fill": body.fill,
        }
        return _view(await self.imports.read_as(import_id, calling, columns, **how))

    async def try_out(self, import_id: str, calling: Importer) -> JobView:
        """Look through all rows; what would become of each is told by the job's results."""
        return job_view(await self.imports.try_out(import_id, calling))

    async def start(self, import_id: str, calling: Importer) -> JobView:
        """Record the rows; the job has the import's id."""
        return job_view(await self.imports.start(import_id, calling))

    async def revert(self, import_id: str, calling: Importer) -> JobView:
        """Take back what nobody has changed since; the results tell what stays."""
        return job_view(await self.imports.revert(import_id, calling))


def _item(draft: Draft) -> ImportItem:
    return ImportItem(
        id=draft.id,
        by=draft.by,
        created_at=draft.created_at,
        rows=draft.rows,
        started=draft.started_by is not None,
    )


def _view(opened: Opened) -> ImportView:
    draft, reading = opened.draft, opened.draft.reading
    return ImportView(
        id=draft.id,
        by=draft.by,
        created_at=draft.created_at,
        format=draft.form.kind,
        encoding=draft.form.encoding,
        delimiter=draft.form.delimiter,
        rows=draft.rows,
        columns=_columns(opened, reading),
        defaults=reading.defaults,
        date_order=reading.date_order,
        consent_source=reading.consent_source,
        fill=reading.fill,
        dry_run=draft.dry_run,
        started=draft.started_by is not None,
    )


def _columns(opened: Opened, reading: FileReading) -> list[ColumnView]:
    names = opened.header or (None,) * len(reading.columns)
    suggested = {
        each.column: SuggestionView(to=each.target, score=round(each.score, 1), by=each.by)
        for each in opened.suggestions
    }
    return [
        ColumnView(
            name=name,
            to=None if use is None else use.to,
            topic=None if use is None else use.topic,
            channels=[] if use is None else list(use.channels),
            suggestion=suggested.get(place),
        )
        for place, (name, use) in enumerate(zip(names, reading.columns, strict=True))
    ]
