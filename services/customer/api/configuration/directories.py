"""The directories that people choose from, over HTTP."""

from dataclasses import dataclass

from fastapi import APIRouter, Response

from services.customer.api.configuration.changing import Asked, Changing, Named, Reader
from services.customer.api.configuration.inputs import EntryInput
from services.customer.api.configuration.views import (
    Configured,
    ItemList,
    ItemView,
    view_of,
    views_of,
)
from services.customer.domain.configuration.catalogue import Define
from services.customer.domain.configuration.directories import key_of
from shared.events.configuration import Directory, DirectoryEntryDefined
from shared.http import IfMatch, IfMatchUnlessNew


@dataclass(frozen=True, slots=True)
class DirectoriesApi:
    """Entries of `customer_type`, `deal_type` and `source`."""

    changing: Changing

    def add_to(self, router: APIRouter) -> None:
        """Add the routes below `/v1/configuration`."""
        add = router.add_api_route
        add("/directories/{directory}", self.entries, methods=["GET"])
        add("/directories/{directory}/{name}", self.entry, methods=["GET"])
        add("/directories/{directory}/{name}", self.define, methods=["PUT"])
        add("/directories/{directory}/{name}/archive", self.archive, methods=["POST"])
        add("/directories/{directory}/{name}/restore", self.restore, methods=["POST"])

    async def entries(
        self, directory: Directory, _calling: Reader
    ) -> ItemList[DirectoryEntryDefined]:
        """All entries of a directory."""
        now = await self.changing.book.fresh()
        found = [
            each.model_copy(update={"name": each.definition.entry})
            for each in views_of(now.directories)
            if each.definition.directory == directory
        ]
        return ItemList[DirectoryEntryDefined](number=now.number, items=found)

    async def entry(
        self, directory: Directory, name: Named, _calling: Reader, response: Response
    ) -> ItemView[DirectoryEntryDefined]:
        """One entry of a directory."""
        entries = (await self.changing.book.fresh()).directories
        view = view_of(entries, "entry", key_of(directory, name), response)
        return view.model_copy(update={"name": name})

    async def define(
        self, directory: Directory, body: EntryInput, asking: Asked, rests_on: IfMatchUnlessNew
    ) -> Configured:
        """Give an entry of a directory its (new) definition."""
        key = key_of(directory, asking.name)
        request = self.changing.request_of(asking, f"directories/{key}", body)
        command = Define(key, body.definition(directory, asking.name), request.at, rests_on)
        return await self.changing.change_item("directories", asking, request, command)

    async def archive(self, directory: Directory, asking: Asked, match: IfMatch) -> Configured:
        """Let no record choose it any more."""
        key = key_of(directory, asking.name)
        return await self.changing.archive("directories", asking, match, key)

    async def restore(self, directory: Directory, asking: Asked, match: IfMatch) -> Configured:
        """Let records choose it again."""
        key = key_of(directory, asking.name)
        return await self.changing.restore("directories", asking, match, key)
