"""Custom fields, categories and statuses over HTTP."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Response

from services.customer.api.configuration.changing import Asked, Changing, Named, Reader
from services.customer.api.configuration.inputs import CategoryInput, FieldInput, StatusInput
from services.customer.api.configuration.views import (
    Configured,
    ItemList,
    ItemView,
    view_of,
    views_of,
)
from services.customer.domain.configuration.catalogue import Define
from shared.events.configuration import CategoryDefined, FieldDefined, StatusDefined
from shared.http import IfMatch, IfMatchUnlessNew

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
        self, body: FieldInput, asking: Asked, rests_on: IfMatchUnlessNew
    ) -> Configured:
        """Give a custom field its (new) definition; its type stays."""
        request = self.changing.request_of(asking, f"fields/{asking.name}", body)
        command = Define(asking.name, body.definition(asking.name), request.at, rests_on)
        return await self.changing.change_item("fields", asking, request, command)

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
        self, body: CategoryInput, asking: Asked, rests_on: IfMatchUnlessNew
    ) -> Configured:
        """Give a category its (new) definition."""
        request = self.changing.request_of(asking, f"categories/{asking.name}", body)
        command = Define(asking.name, body.definition(asking.name), request.at, rests_on)
        return await self.changing.change_item("categories", asking, request, command)

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
        self, body: StatusInput, asking: Asked, rests_on: IfMatchUnlessNew
    ) -> Configured:
        """Give a status its (new) definition; the path says who comes into it."""
        request = self.changing.request_of(asking, f"statuses/{asking.name}", body)
        command = Define(asking.name, body.definition(asking.name), request.at, rests_on)
        return await self.changing.change_item("statuses", asking, request, command)

    async def archive(self, kind: ItemKind, asking: Asked, match: IfMatch) -> Configured:
        """Let nothing new have it; records that have it keep it."""
        return await self.changing.archive(kind, asking, match)

    async def restore(self, kind: ItemKind, asking: Asked, match: IfMatch) -> Configured:
        """Let records have it again."""
        return await self.changing.restore(kind, asking, match)
