"""Imports of lists over HTTP: send a file, say what its columns are, try it out, start, revert."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from services.segment.handlers.importing import ListReading
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


class MappingInput(BaseModel):
    """What the columns are, by name; one that is left out tells nothing of who is meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, Annotated[str, Field(max_length=100)]] = Field(
        max_length=300, description="`customer`, `phone`, `email`, `card`, `external`, …"
    )


class ColumnView(BaseModel):
    """A column of the file."""

    name: str | None = Field(description="null once the file is gone")
    to: str | None = Field(description="what it is read as; null: not at all")
    suggestion: SuggestionView | None = None


class ListImportView(ImportFileView):
    """An import of a list."""

    list: str
    columns: tuple[ColumnView, ...]


@dataclass(frozen=True, slots=True)
class ListImportApi:
    """The endpoints; what is alike in every service is below `/v1/list-imports`."""

    imports: Imports[ListReading]
    listing: ImportList

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v1/list-imports", tags=["lists"])
        router.add_api_route("/{import_id}/mapping", self.read_as, methods=["PUT"])
        self.routes.add_to(router)
        return router

    def uploads(self) -> APIRouter:
        """The route that takes a file in."""
        router = APIRouter(prefix="/v1/lists", tags=["lists"])
        router.add_api_route(
            "/{name}/imports", self.upload, methods=["POST"], status_code=201, openapi_extra=UPLOAD
        )
        return router

    @property
    def routes(self) -> FileRoutes[ListReading]:
        """Those that all imports have."""
        return FileRoutes(self.imports, self.listing, _view, ListImportView)

    async def upload(
        self,
        name: str,
        request: Request,
        calling: Importer,
        command_id: CommandId,
        filename: FileName = "upload",
    ) -> ListImportView:
        """Take in a CSV, XLSX or Parquet file, told by its content; the body is the file itself."""
        self.imports.reader.branches(calling)
        return _view(await self.routes.taken(request, calling, command_id, filename, name))

    async def read_as(
        self, import_id: str, body: MappingInput, calling: Importer
    ) -> ListImportView:
        """Say what the columns are; the whole mapping each time, until it is started."""
        return _view(await self.imports.read_as(import_id, calling, body.columns))


def _view(opened: Opened[ListReading]) -> ListImportView:
    reading = opened.draft.reading
    names = opened.header or (None,) * len(reading.columns)
    suggested = suggestions_of(opened)
    return ListImportView(
        **file_view_of(opened.draft),
        list=reading.list,
        columns=tuple(
            ColumnView(name=name, to=use, suggestion=suggested.get(place))
            for place, (name, use) in enumerate(zip(names, reading.columns, strict=True))
        ),
    )
