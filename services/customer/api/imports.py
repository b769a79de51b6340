"""Imports over HTTP: send a file, say what its columns are, try it out, start it, take it back."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.customer.api.inputs import Input, Slug, Text
from services.customer.domain.importing.columns import ColumnUse, FileReading
from shared.events.customer import Channel
from shared.http import CommandId
from shared.importing import ImportList, Imports, Opened
from shared.importing.api import (
    UPLOAD,
    FileName,
    FileRoutes,
    Importer,
    ImportFileView,
    SuggestionView,
    file_view_of,
    suggestions_of,
)

PATH = "/v1/imports"


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


class ColumnView(BaseModel):
    """A column of the file."""

    name: str | None = Field(description="null once the file is gone")
    to: str | None = Field(description="what it is imported as; null: not at all")
    topic: str | None = None
    channels: list[str] = []
    suggestion: SuggestionView | None = Field(
        default=None, description="of an upload; a consent is never taken without being asked for"
    )


class ImportView(ImportFileView):
    """An import."""

    columns: list[ColumnView]
    defaults: dict[str, str]
    date_order: str
    consent_source: str
    fill: str


@dataclass(frozen=True, slots=True)
class ImportApi:
    """The endpoints below `/v1/imports`."""

    imports: Imports[FileReading]
    listing: ImportList

    @property
    def routes(self) -> FileRoutes[FileReading]:
        """Those that all imports have."""
        return FileRoutes(self.imports, self.listing, _view, ImportView)

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix=PATH, tags=["imports"])
        router.add_api_route(
            "", self.upload, methods=["POST"], status_code=201, openapi_extra=UPLOAD
        )
        router.add_api_route("/{import_id}/mapping", self.read_as, methods=["PUT"])
        self.routes.add_to(router)
        return router

    async def upload(
        self,
        request: Request,
        calling: Importer,
        command_id: CommandId,
        filename: FileName = "upload",
    ) -> ImportView:
        """Take in a CSV, XLSX or Parquet file, told by its content; the body is the file itself."""
        return _view(await self.routes.taken(request, calling, command_id, filename))

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


def _view(opened: Opened[FileReading]) -> ImportView:
    draft, reading = opened.draft, opened.draft.reading
    return ImportView(
        **file_view_of(draft),
        columns=_columns(opened, reading),
        defaults=reading.defaults,
        date_order=reading.date_order,
        consent_source=reading.consent_source,
        fill=reading.fill,
    )


def _columns(opened: Opened[FileReading], reading: FileReading) -> list[ColumnView]:
    names = opened.header or (None,) * len(reading.columns)
    suggested = suggestions_of(opened)
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
