"""Imports of facts from files over HTTP: send one, say what its columns are, try, start, revert."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from services.interaction.handlers.importing import SHAPES, FactReading
from services.interaction.handlers.incoming.forms import Branch, Input, Text
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
from shared.importing.values import DateOrder, Mark, MoneyUnit

PATH = "/v1/file-imports"
Facts = Annotated[str, Query(max_length=64, description=f"one of {', '.join(SHAPES)}")]


class UseInput(Input):
    """What a column is."""

    to: Annotated[
        str, Field(max_length=100, description="`source_id`, `amount`, `card`, `extra.<name>`, …")
    ]


class MappingInput(Input):
    """How the file is read; a column that is left out is not imported."""

    columns: dict[str, UseInput] = Field(max_length=300)
    defaults: dict[str, Text] = Field(
        default={}, max_length=100, description="values for what a row leaves empty"
    )
    date_order: DateOrder = "dmy"
    money: MoneyUnit = Field(default="major", description="`minor`: amounts are whole cents")
    decimal_mark: Mark = Field(default="", description="what stands before decimals; left out: any")
    zone: Annotated[str, Field(max_length=100)] = Field(
        default="", description="IANA name, of times without an offset; left out: the chain's"
    )
    zones: dict[Branch, Annotated[str, Field(max_length=100)]] = Field(
        default={}, max_length=10_000, description="the same by branch"
    )


class FactColumnView(BaseModel):
    """A column of the file."""

    name: str | None = Field(description="null once the file is gone")
    to: str | None = Field(description="what it is imported as; null: not at all")
    suggestion: SuggestionView | None = Field(default=None, description="of an upload")


class FactFileView(ImportFileView):
    """An import of facts."""

    facts: str
    columns: list[FactColumnView]
    defaults: dict[str, str]
    date_order: DateOrder
    money: MoneyUnit
    decimal_mark: Literal["", ".", ","]
    zone: str
    zones: dict[str, str]


@dataclass(frozen=True, slots=True)
class FileImportApi:
    """The endpoints below `/v1/file-imports`."""

    imports: Imports[FactReading]
    listing: ImportList

    @property
    def routes(self) -> FileRoutes[FactReading]:
        """Those that all imports have."""
        return FileRoutes(self.imports, self.listing, _view, FactFileView)

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
        facts: Facts,
        filename: FileName = "upload",
    ) -> FactFileView:
        """Take in a CSV, XLSX or Parquet file, told by its content; the body is the file itself."""
        return _view(await self.routes.taken(request, calling, command_id, filename, facts))

    async def read_as(self, import_id: str, body: MappingInput, calling: Importer) -> FactFileView:
        """Say what the columns are; the whole mapping each time, until it is started."""
        columns = {name: use.to for name, use in body.columns.items()}
        how: dict[str, Any] = {
            "defaults": dict(body.defaults),
            "date_order": body.date_order,
            "money": body.money,
            "decimal_mark": body.decimal_mark,
            "zone": body.zone,
            "zones": dict(body.zones),
        }
        return _view(await self.imports.read_as(import_id, calling, columns, **how))


def _view(opened: Opened[FactReading]) -> FactFileView:
    draft, reading = opened.draft, opened.draft.reading
    names = opened.header or (None,) * len(reading.columns)
    suggested = suggestions_of(opened)
    return FactFileView(
        **file_view_of(draft),
        facts=reading.facts,
        columns=[
            FactColumnView(name=name, to=to, suggestion=suggested.get(place))
            for place, (name, to) in enumerate(zip(names, reading.columns, strict=True))
        ],
        defaults=reading.defaults,
        date_order=reading.date_order,
        money=reading.money,
        decimal_mark=reading.decimal_mark,
        zone=reading.zone,
        zones=reading.zones,
    )
