"""How a change of the configuration is asked for, whatever its kind."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Path, Response
from pydantic import BaseModel

from services.customer.api.configuration.views import Configured, configured
from services.customer.api.inputs import Slug
from services.customer.domain.configuration.catalogue import Archive, Define, Restore
from services.customer.domain.configuration.chosen import CatalogueKind
from services.customer.handlers.configuration import ConfigurationBook, Request
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.execute import Done
from shared.http import CommandId, asked_hash, principal
from shared.http.preconditions import Precondition

Reader = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.CONFIGURATION_WRITE))]
Named = Annotated[Slug, Path(description="Its name in records and rules.")]
AnyItemCommand = Define[Any] | Archive | Restore


@dataclass(frozen=True, slots=True)
class Asking:
    """What every change of an item comes with."""

    name: Named
    calling: Writing
    command_id: CommandId
    response: Response


Asked = Annotated[Asking, Depends()]


@dataclass(frozen=True, slots=True)
class Changing:
    """What the endpoints stand on; `secret` is that of the chain's keyed hashes."""

    book: ConfigurationBook
    clock: Clock
    secret: bytes

    def request(
        self, calling: Principal, command_id: str, what: str, body: BaseModel | None = None
    ) -> Request:
        """A request for a change. Raises `Refused` (403) for a caller of some branches."""
        scope(calling, Kind.CONFIGURATION).require(None)
        return Request(command_id, asked_hash(self.secret, [what, body]), self.clock.now())

    async def carry_out(self, kind: str, request: Request, command: object) -> Done:
        """Change a kind of configuration. Raises the refusal."""
        return await self.book.change(kind, request, command)

    def request_of(self, asking: Asking, place: str, body: BaseModel | None = None) -> Request:
        """The same for a change of an item; `place` tells it from changes of other things."""
        return self.request(asking.calling, asking.command_id, place, body)

    async def change_item(
        self, kind: CatalogueKind, asking: Asking, request: Request, command: AnyItemCommand
    ) -> Configured:
        """Define, archive or restore an item; its version is the answer's. Raises the refusal."""
        done = await self.carry_out(kind, request, command)
        item = (await self.book.fresh()).catalogue(kind).items[command.name]
        return configured(asking.name, item.version, done, asking.response)

    async def archive(
        self, kind: CatalogueKind, asking: Asking, match: Precondition, key: str | None = None
    ) -> Configured:
        """Let nothing new have an item; `key` is its name in the catalogue, where that differs."""
        return await self._turn(Archive, kind, asking, match, key)

    async def restore(
        self, kind: CatalogueKind, asking: Asking, match: Precondition, key: str | None = None
    ) -> Configured:
        """Let records have an item again."""
        return await self._turn(Restore, kind, asking, match, key)

    async def _turn(
        self,
        turn: type[Archive | Restore],
        kind: CatalogueKind,
        asking: Asking,
        match: Precondition,
        key: str | None,
    ) -> Configured:
        name = key or asking.name
        request = self.request_of(asking, f"{kind}/{name}/{turn.__name__.lower()}")
        command = turn(name, request.at, match.require_of)
        return await self.change_item(kind, asking, request, command)
