"""How a change of the configuration is asked for, whatever its kind."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from fastapi import Depends, Path
from pydantic import BaseModel

from services.customer.api.inputs import Slug
from services.customer.handlers.configuration import ConfigurationBook, Request
from shared.access import Kind, Permission, Principal, scope
from shared.clock import Clock
from shared.execute import Done
from shared.http import principal
from shared.keyring import keyed_hash

Reader = Annotated[Principal, Depends(principal(Permission.CUSTOMERS_READ))]
Writing = Annotated[Principal, Depends(principal(Permission.CONFIGURATION_WRITE))]
Named = Annotated[Slug, Path(description="Its name in records and rules.")]


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
        sent = None if body is None else body.model_dump(mode="json")
        content = msgspec.json.encode([what, sent], order="sorted").decode()
        return Request(command_id, keyed_hash(self.secret, "command", content), self.clock.now())

    async def carry_out(self, kind: str, request: Request, command: object) -> Done:
        """Change a kind of configuration. Raises the refusal."""
        return await self.book.change(kind, request, command)
