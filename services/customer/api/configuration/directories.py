"""The directories that people choose from, over HTTP."""

from dataclasses import dataclass

from fastapi import APIRouter, Response

from services.customer.api.configuration.changing import Changing, Named, Reader, Writing
from services.customer.api.configuration.inputs import EntryInput
from services.customer.api.configuration.views import (
    Configured,
    ItemList,
    ItemView,
    configured,
    view_of,
    views_of,
)
from services.customer.domain.configuration.catalogue import Archive, Define, Restore
from services.customer.domain.configuration.directories import key_of
from services.customer.handlers.configuration import Request
from shared.events.configuration import Directory, DirectoryEntryDefined
from shared.http import CommandId, IfMatch, IfMatchUnlessNew


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
        self,
        directory: Directory,
        name: Named,
        body: EntryInput,
        calling: Writing,
        command_id: CommandId,
        *,
        rests_on: IfMatchUnlessNew,
        response: Response,
    ) -> Configured:
        """Give an entry of a directory its (new) definition."""
        key = key_of(directory, name)
        request = self.changing.request(calling, command_id, f"directories/{key}", body)
        command = Define(key, body.definition(directory, name), request.at, rests_on)
        return await self._changed(key, request, command, response)

    async def archive(
        self,
        directory: Directory,
        name: Named,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> Configured:
        """Let no record choose it any more."""
        key = key_of(directory, name)
        request = self.changing.request(calling, command_id, f"directories/{key}/archive")
        return await self._changed(
            key, request, Archive(key, request.at, match.require_of), response
        )

    async def restore(
        self,
        directory: Directory,
        name: Named,
        calling: Writing,
        command_id: CommandId,
        *,
        match: IfMatch,
        response: Response,
    ) -> Configured:
        """Let records choose it again."""
        key = key_of(directory, name)
        request = self.changing.request(calling, command_id, f"directories/{key}/restore")
        return await self._changed(
            key, request, Restore(key, request.at, match.require_of), response
        )

    async def _changed(
        self, key: str, request: Request, command: object, response: Response
    ) -> Configured:
        done = await self.changing.carry_out("directories", request, command)
        entry = (await self.changing.book.fresh()).directories.items[key]
        return configured(key.partition("/")[2], entry.version, done, response)
