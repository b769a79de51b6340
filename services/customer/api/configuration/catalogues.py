"""Custom fields, categories and statuses over HTTP."""

from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Response

from services.customer.api.configuration.changing import Changing, Named, Reader, Writing
from services.customer.api.configuration.inputs import CategoryInput, FieldInput, StatusInput
from services.customer.api.configuration.views import (
    Configured,
    ItemList,
    ItemView,
    configured,
    view_of,
    views_of,
)
from services.customer.domain.configuration.catalogue import Archive, Catalogue, Define, Restore
from services.customer.domain.configuration.chosen import Configuration
from services.customer.handlers.configuration import Request
from shared.events.configuration import CategoryDefined, FieldDefined, StatusDefined
from shared.http import CommandId, IfMatch, IfMatchUnlessNew

ItemKind = Literal["fields", "categories", "statuses"]


@dataclass(frozen=True, slots=True)
class CataloguesApi:
    """What is defined by name; nothing is deleted, it is archived."""

    changing: Changing

    def add_to(self, router: APIRouter) -> None:
        """Add the routes below `/v1/configuration`."""
        add = router.add_api_route
        add("/fields", self.fields, methods=["GET"])
        add("/fields/{name}", self.field, methods=["GET"])
        add("/fields/{name}", self.define_field, methods=["PUT"])
        add("/categories", self.categories, methods=["GET"])
        add("/categories/{name}", self.category, methods=["GET"])
        add("/categories/{name}", self.define_category, methods=["PUT"])
        add("/statuses", self.statuses, methods=["GET"])
        add("/statuses/{name}", self.status, methods=["GET"])
        add("/statuses/{name}", self.define_status, methods=["PUT"])
        add("/{kind}/{name}/archive", self.archive, methods=["POST"])
        add("/{kind}/{name}/restore", self.restore, methods=["POST"])

    async def fields(self, _calling: Reader) -> ItemList[FieldDefined]:
        """All custom fields."""
        now = await self.changing.book.fresh()
        return ItemList[FieldDefined](number=now.number, items=views_of(now.fields))

    async def field(
        self, name: Named, _calling: Reader, response: Response
    ) -> ItemView[FieldDefined]:
        """One custom field."""
        return view_of((await self.changing.book.fresh()).fields, "field", name, response)

    async def define_field(
        self,
        name: Named,
        body: FieldInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Configured:
        """Give a custom field its (new) definition; its type stays."""
        request = self.changing.request(calling, command_id, f"fields/{name}", body)
        command = Define(name, body.definition(name), request.at, rests_on)
        return await self._changed("fields", name, request, command, response)

    async def categories(self, _calling: Reader) -> ItemList[CategoryDefined]:
        """All categories."""
        now = await self.changing.book.fresh()
        return ItemList[CategoryDefined](number=now.number, items=views_of(now.categories))

    async def category(
        self, name: Named, _calling: Reader, response: Response
    ) -> ItemView[CategoryDefined]:
        """One category."""
        return view_of((await self.changing.book.fresh()).categories, "category", name, response)

    async def define_category(
        self,
        name: Named,
        body: CategoryInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Configured:
        """Give a category its (new) definition."""
        request = self.changing.request(calling, command_id, f"categories/{name}", body)
        command = Define(name, body.definition(name), request.at, rests_on)
        return await self._changed("categories", name, request, command, response)

    async def statuses(self, _calling: Reader) -> ItemList[StatusDefined]:
        """All statuses."""
        now = await self.changing.book.fresh()
        return ItemList[StatusDefined](number=now.number, items=views_of(now.statuses))

    async def status(
        self, name: Named, _calling: Reader, response: Response
    ) -> ItemView[StatusDefined]:
        """One status."""
        return view_of((await self.changing.book.fresh()).statuses, "status", name, response)

    async def define_status(
        self,
        name: Named,
        body: StatusInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Configured:
        """Give a status its (new) definition; the path says who comes into it."""
        request = self.changing.request(calling, command_id, f"statuses/{name}", body)
        command = Define(name, body.definition(name), request.at, rests_on)
        return await self._changed("statuses", name, request, command, response)

    async def archive(
        self,
        kind: ItemKind,
        name: Named,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> Configured:
        """Let nothing new have it; records that have it keep it."""
        request = self.changing.request(calling, command_id, f"{kind}/{name}/archive")
        command = Archive(name, request.at, match.require_of)
        return await self._changed(kind, name, request, command, response)

    async def restore(
        self,
        kind: ItemKind,
        name: Named,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> Configured:
        """Let records have it again."""
        request = self.changing.request(calling, command_id, f"{kind}/{name}/restore")
        command = Restore(name, request.at, match.require_of)
        return await self._changed(kind, name, request, command, response)

    async def _changed(
        self, kind: ItemKind, name: str, request: Request, command: object, response: Response
    ) -> Configured:
        done = await self.changing.carry_out(kind, request, command)
        items = _catalogue(await self.changing.book.fresh(), kind).items
        return configured(name, items[name].version, done, response)


def _catalogue(configuration: Configuration, kind: ItemKind) -> Catalogue[Any]:
    match kind:
        case "fields":
            return configuration.fields
        case "categories":
            return configuration.categories
        case "statuses":
            return configuration.statuses
