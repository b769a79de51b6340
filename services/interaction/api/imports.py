"""Imports: begun, ended, listed; by callers of the whole chain, to which an import belongs."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from services.interaction.handlers import imports as handlers
from services.interaction.handlers.incoming.forms import Input, Slug, Text
from services.interaction.queries.imports import Imports, KnownImport
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.decider import not_found
from shared.execute import Writer
from shared.http import CommandId, Cursor, Limit, Page, page_of, position_of, principal
from shared.ids import derived_id


async def _of_the_chain(
    calling: Annotated[Principal, Depends(principal(Permission.IMPORTS_RUN))],
) -> Principal:
    scope(calling, Kind.IMPORT).require(None)
    return calling


Importer = Annotated[Principal, Depends(_of_the_chain)]


class BeginInput(Input):
    """An import to be begun, or to be gone on with."""

    id: Slug | None = Field(default=None, description="left out: made of the Idempotency-Key")
    title: Text


class EndInput(Input):
    """The end of an import."""

    facts: int = Field(ge=0, strict=True, description="how many the importer has sent, each once")


class ImportView(BaseModel):
    """An import."""

    id: str
    title: str
    open: bool = Field(description="whether facts may name it")
    facts: int | None = Field(description="the importer's own count, once it has ended")
    version: int


@dataclass(frozen=True, slots=True)
class ImportApi:
    """The endpoints, on what they need."""

    writer: Writer
    imports: Imports
    clock: Clock

    def router(self) -> APIRouter:
        """The routes below `/v1/imports`."""
        router = APIRouter(prefix="/v1/imports", tags=["imports"])
        router.add_api_route("", self.begin, methods=["POST"], status_code=201)
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("/{import_id}", self.get, methods=["GET"])
        router.add_api_route("/{import_id}/end", self.end, methods=["POST"])
        return router

    async def begin(
        self, body: BeginInput, _calling: Importer, command_id: CommandId
    ) -> ImportView:
        """Begin an import, or go on with the one of this id and title."""
        import_id = body.id or derived_id("import", command_id)
        await handlers.begin_import(
            self.writer, command_id, import_id, body.title, self.clock.now()
        )
        return await self._import(import_id)

    async def end(
        self, import_id: str, body: EndInput, _calling: Importer, command_id: CommandId
    ) -> ImportView:
        """End an import; one that has ended answers as it did."""
        await handlers.end_import(self.writer, command_id, import_id, body.facts, self.clock.now())
        return await self._import(import_id)

    async def page(
        self, _calling: Importer, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[ImportView]:
        """All imports, open and ended, by id."""
        found = await self.imports.after(position_of(cursor, str), limit + 1)
        return page_of([_import_view(each) for each in found], limit, lambda view: view.id)

    async def get(self, import_id: str, _calling: Importer) -> ImportView:
        """One import."""
        return await self._import(import_id)

    async def _import(self, import_id: str) -> ImportView:
        known = await self.imports.get(import_id)
        if known is None:
            raise not_found("import", import_id)
        return _import_view(known)


def _import_view(known: KnownImport) -> ImportView:
    return ImportView(
        id=known.id,
        title=known.state.title or "",
        open=known.state.open,
        facts=known.state.facts,
        version=known.version,
    )
